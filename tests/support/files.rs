//! What stands in files.

use std::path::Path;

/// Fails when one of `words` is in a file below `folder`, as it is on disk:
/// what is compressed is not looked into.
pub(crate) fn assert_absent(folder: &Path, words: &[&str]) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_absent(&path, words);
            continue;
        }
        // A file may be gone: a flush runs beside.
        let bytes = std::fs::read(&path).unwrap_or_default();
        for word in words {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word:?} is in {}", path.display());
        }
    }
}

/// Files under `folder` that hold `text`, as bytes or within Parquet. A file
/// may go meanwhile: then it holds nothing.
pub(crate) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if holds(&path, text) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
        return true;
    }
    path.extension().is_some_and(|end| end == "parquet") && parquet_holds(path, text)
}

/// Pages are compressed, so every text of the file is read.
fn parquet_holds(path: &Path, text: &str) -> bool {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let Ok(file) = std::fs::File::open(path) else { return false };
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| row.expect("a row").to_string()).any(|row| row.contains(text))
}
