//! The folder `prices/`: one CSV file a version, which never changes, and
//! which of them was active since when.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use super::history::History;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::pricing::PriceBook;

/// Which list was active since when.
pub(super) const HISTORY: &str = "active.json";

pub(super) fn create_folder(folder: &Path) -> Result<()> {
    let create = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        sync_folder(folder.parent().unwrap_or(folder))
    };
    create().context(ErrorKind::Unavailable, format!("cannot create {}", folder.display()))
}

/// Every list, by version. A file that cannot be read stops the start: events
/// may name it.
pub(super) fn read_books(folder: &Path) -> Result<BTreeMap<String, Arc<PriceBook>>> {
    let doing = || format!("cannot read {}", folder.display());
    let mut books = BTreeMap::new();
    for entry in fs::read_dir(folder).context(ErrorKind::Unavailable, doing())? {
        let path = entry.context(ErrorKind::Unavailable, doing())?.path();
        // Other files, such as a draft that a crash left, are not ours.
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(version) = name.and_then(|name| name.strip_suffix(".csv")) else { continue };
        if super::check_version(version).is_err() {
            continue;
        }
        let read = fs::read_to_string(&path);
        let text =
            read.context(ErrorKind::Unavailable, format!("cannot read {}", path.display()))?;
        let book = PriceBook::parse(version, &text).map_err(|error| {
            let shown = path.display();
            Error::unavailable(format!(
                "{shown} is damaged ({error}); put it back from a backup: events name this version"
            ))
        })?;
        books.insert(version.to_owned(), Arc::new(book));
    }
    Ok(books)
}

/// Writes a list that is not there yet.
pub(super) fn write_book(folder: &Path, book: &PriceBook) -> Result<()> {
    write_durably(folder, &format!("{}.csv", book.version()), book.csv_text().as_bytes())
}

/// Empty where nothing was written yet.
pub(super) fn read_history(folder: &Path) -> Result<History> {
    let path = folder.join(HISTORY);
    let doing = || format!("cannot read {}", path.display());
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).context(ErrorKind::Unavailable, doing()),
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(History::default()),
        Err(error) => Err(error).context(ErrorKind::Unavailable, doing()),
    }
}

pub(super) fn write_history(folder: &Path, history: &History) -> Result<()> {
    let text = serde_json::to_vec_pretty(history).internal("writing down the active price list")?;
    write_durably(folder, HISTORY, &text)
}

/// The file is there with all of its content, or as it was before.
fn write_durably(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = folder.join(name);
    let write = || -> std::io::Result<()> {
        let draft = folder.join(format!("{name}.tmp"));
        let mut file = File::create(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        sync_folder(folder)
    };
    write().context(ErrorKind::Unavailable, format!("cannot write {}", path.display()))
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
