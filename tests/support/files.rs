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
