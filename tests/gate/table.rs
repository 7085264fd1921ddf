//! `docs/ACCESS.md` says what the table of routes says.

use spendlake::api::rules;

use super::roles::{Reached, Who, reached};
use crate::support::server::repository_path;

const BEGIN: &str = "<!-- routes and roles: begin -->\n";
const END: &str = "<!-- routes and roles: end -->";

fn cell(reached: Reached) -> &'static str {
    match reached {
        Reached::All => "all",
        Reached::Own => "own",
        Reached::Part => "part",
        Reached::Itself => "self",
        Reached::Forbidden | Reached::Unknown | Reached::Unauthenticated => "–",
    }
}

fn table() -> String {
    let names: Vec<&str> = Who::COLUMNS.iter().map(|(_, name)| *name).collect();
    let mut text = format!("| route | {} |\n", names.join(" | "));
    text.push_str(&format!("|---|{}\n", "---|".repeat(names.len())));
    for rule in rules() {
        let cells = Who::COLUMNS.map(|(who, _)| cell(reached(rule.need, who)));
        let (verb, path) = (rule.verb.name(), rule.path);
        text.push_str(&format!("| `{verb} {path}` | {} |\n", cells.join(" | ")));
    }
    text
}

/// SPENDLAKE_TEST_UPDATE=1 writes it anew.
#[test]
fn the_documented_table_is_the_one_that_holds() {
    let path = repository_path("docs/ACCESS.md");
    let text = std::fs::read_to_string(&path).expect("docs/ACCESS.md");
    let (before, rest) = text.split_once(BEGIN).expect("the table's begin");
    let (shown, after) = rest.split_once(END).expect("the table's end");
    let table = table();
    if std::env::var_os("SPENDLAKE_TEST_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("written");
        return;
    }
    assert!(shown == table, "docs/ACCESS.md is stale; run with SPENDLAKE_TEST_UPDATE=1");
}
