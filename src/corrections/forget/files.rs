//! Files of the data directory beside the tables that may name a user.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::corrections::Corrector;
use crate::directory::{DirectoryKind, Erasure};
use crate::error::{Context, ErrorKind, Result};
use crate::model::mentions_in_sql;

/// The statements typed at the `spendlake sql` prompt.
const HISTORY: &str = "sql_history";
/// The names that an earlier version kept; read once, before there was a database.
const LEGACY: &str = "directory.json";

impl Corrector {
    /// Takes statements that name the user out of `sql_history`, and the user
    /// out of a `directory.json`, which knew no organizations: it stays there
    /// while another organization has a user of this id.
    pub(super) async fn forget_in_files(&self, erasure: &Erasure) -> Result<()> {
        let (folder, user) = (self.parts.data_dir.clone(), erasure.user_id.clone());
        let directory = self.parts.directory.load();
        let is_shared = directory
            .organizations()
            .filter(|one| one.id != erasure.organization_id)
            .any(|one| directory.get(DirectoryKind::User, &one.id, &user).is_some());
        let rewriting = tokio::task::spawn_blocking(move || {
            rewrite(&folder.join(HISTORY), |text| without_statements(text, &user))?;
            if is_shared {
                return Ok(());
            }
            rewrite(&folder.join(LEGACY), |text| without_entry(text, &user))
        });
        rewriting.await.internal("rewriting files")?
    }
}

/// Replaces the file by what `change` makes of it, where that is another text.
fn rewrite(path: &Path, change: impl FnOnce(&str) -> Option<String>) -> Result<()> {
    let doing = || format!("rewriting {}", path.display());
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.context(ErrorKind::Unavailable, doing())?,
    };
    let Some(changed) = change(&String::from_utf8_lossy(&bytes)) else { return Ok(()) };
    replace(path, changed.as_bytes()).context(ErrorKind::Unavailable, doing())
}

/// As a whole: a crash leaves the one or the other.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = std::fs::File::create(&draft)?;
    file.set_permissions(std::fs::metadata(path)?.permissions())?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A line is a statement, with its own line breaks as `\n`.
fn without_statements(history: &str, user: &str) -> Option<String> {
    let names = |line: &str| mentions_in_sql(&unescaped(line), user);
    let kept: Vec<&str> = history.split_inclusive('\n').filter(|line| !names(line)).collect();
    let kept = kept.concat();
    (kept.len() < history.len()).then_some(kept)
}

fn unescaped(line: &str) -> String {
    // A doubled backslash first, so that it escapes nothing.
    let parts = line.split("\\\\").map(|part| part.replace("\\n", "\n"));
    parts.collect::<Vec<_>>().join("\\")
}

fn without_entry(file: &str, user: &str) -> Option<String> {
    let mut file: Value = serde_json::from_str(file).ok()?;
    let users = file.get_mut("users")?.as_array_mut()?;
    let before = users.len();
    users.retain(|line| line["id"] != user);
    let is_changed = users.len() < before;
    is_changed.then(|| format!("{file:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_name_the_user_go() {
        let history = "#V2\nSELECT 1;\nSELECT *\\nFROM t WHERE u =\\n'ada';\nSELECT canada;\n";
        let kept = without_statements(history, "ada").expect("changed");
        assert_eq!(kept, "#V2\nSELECT 1;\nSELECT canada;\n");
        assert_eq!(without_statements(&kept, "ada"), None);
        assert!(without_statements("SELECT\\nada", "ada").is_some(), "behind a line break");
        assert!(without_statements("SELECT '\\\\nada'", "ada").is_none(), "a backslash and nada");
    }

    #[test]
    fn an_entry_of_the_old_file_goes_and_the_others_stay() {
        let file = r#"{"teams":[{"id":"ada","name":"T"}],"users":[{"id":"ada","name":"Ada"},{"id":"bob","name":"ada"}]}"#;
        let kept = without_entry(file, "ada").expect("changed");
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        let expected = r#"{"teams":[{"id":"ada","name":"T"}],"users":[{"id":"bob","name":"ada"}]}"#;
        assert_eq!(kept, serde_json::from_str::<Value>(expected).expect("JSON"));
        assert_eq!(without_entry(file, "eve"), None);
        assert_eq!(without_entry("broken", "ada"), None);
    }
}
