//! `spendlake token` and `spendlake account`.

use std::path::Path;
use std::process::Output;

use crate::support::server::{Server, run};

const ACME: &str = "0190a000-0000-7000-8000-000000000001";

/// Standard output and standard error of a run that must succeed.
#[track_caller]
fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{err}");
    (out, err)
}

/// Makes, lists, rotates and revokes a token.
fn walk_through_tokens(data_dir: &Path) {
    let create =
        ["token", "create", "--name", "gateway", "--role", "ingest", "--organization", ACME];
    let (token, talk) = texts(&run(data_dir, &create));
    let token = token.trim_end();
    assert!(token.starts_with("slk_") && token.len() == 66, "only the token: {token}");
    assert!(!talk.contains(token), "{talk}");
    let id = token.split('_').nth(1).expect("an id");
    let (list, _) = texts(&run(data_dir, &["token", "list"]));
    assert!(list.contains(id) && list.contains("gateway") && !list.contains(token), "{list}");
    let (next, _) = texts(&run(data_dir, &["token", "rotate", id, "--overlap", "0h"]));
    assert_ne!(next.trim_end(), token);
    let next = next.split('_').nth(1).expect("an id").to_owned();
    texts(&run(data_dir, &["token", "revoke", &next]));
    let (list, _) = texts(&run(data_dir, &["token", "list", "--json"]));
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    // A server of these tests has a token of its settings as well.
    let made = list["items"].as_array().expect("tokens").iter();
    let states = made.filter(|one| one["name"] == "gateway").map(|one| &one["state"]);
    let mut states: Vec<_> = states.map(|state| state.as_str().expect("text")).collect();
    states.sort_unstable();
    assert_eq!(states, ["replaced", "revoked"]);
}

fn walk_through_accounts(data_dir: &Path) {
    let file = data_dir.with_extension("password");
    std::fs::write(&file, "a few words will do\n").expect("write");
    let file = file.to_str().expect("UTF-8");
    let create = ["account", "create", "--email", "ada@example.com", "--name", "Ada"];
    let rest = ["--role", "analyst", "--organization", ACME, "--password-file", file];
    let (id, _) = texts(&run(data_dir, &[&create[..], &rest[..]].concat()));
    texts(&run(data_dir, &["account", "disable", "ada@example.com"]));
    let (list, _) = texts(&run(data_dir, &["account", "list", "--json"]));
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["items"][0]["id"], id.trim_end());
    assert!(list["items"][0]["disabled_at"].is_string());
    texts(&run(data_dir, &["account", "enable", id.trim_end()]));
    let unknown = run(data_dir, &["account", "disable", "eve@example.com"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn tokens_and_accounts_are_kept_in_a_folder_that_nobody_holds() {
    let folder = tempfile::tempdir().expect("folder");
    let data_dir = folder.path().join("data");
    walk_through_tokens(&data_dir);
    walk_through_accounts(&data_dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_accounts_are_kept_by_the_server_that_holds_the_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let data_dir = folder.path().join("data");
    let server = Server::start(&data_dir, &[]).await;
    walk_through_tokens(&data_dir);
    walk_through_accounts(&data_dir);
    drop(server);
}

#[test]
fn a_role_without_a_place_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let output = run(folder.path(), &["token", "create", "--name", "x", "--role", "analyst"]);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(talk.contains("over what?"), "{talk}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_secret_of_the_settings_is_not_shown() {
    let folder = tempfile::tempdir().expect("folder");
    let token = "0123456789abcdef0123456789abcdef";
    let (shown, _) = texts(&run(folder.path(), &["config", "--init-admin-token", token]));
    assert!(shown.contains("init_admin_token = ") && !shown.contains(token), "{shown}");
}
