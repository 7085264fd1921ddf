//! Rules of the repository that a compiler does not check.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::server::repository_path;

/// Every Rust file below `folder`.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules in the order of `lib.rs`.
fn modules_in_order() -> Vec<String> {
    let text = fs::read_to_string(repository_path("src/lib.rs")).expect("lib.rs");
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The top-level module that a file belongs to.
fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(repository_path("src")).expect("below src");
    let first = relative.components().next().expect("a component").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The modules that a line names after `crate::`.
fn named_modules(line: &str) -> Vec<&str> {
    line.split("crate::")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|one: char| !one.is_alphanumeric() && one != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let order: BTreeMap<String, usize> =
        modules_in_order().into_iter().enumerate().map(|(index, name)| (name, index)).collect();
    assert!(order.len() > 15, "{order:?}");
    let mut wrong = Vec::new();
    for file in rust_files(&repository_path("src")) {
        let module = module_of(&file);
        let Some(own) = order.get(&module) else { continue };
        let text = fs::read_to_string(&file).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            for used in named_modules(line) {
                if order.get(used).is_some_and(|index| index > own) {
                    wrong.push(format!("{}:{}: {module} uses {used}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these look downstream:\n{}", wrong.join("\n"));
}

#[test]
fn the_layering_check_sees_what_it_should() {
    assert_eq!(named_modules("use crate::wal::Wal;"), ["wal"]);
    assert_eq!(named_modules("let x: crate::hot::A = crate::lake::b();"), ["hot", "lake"]);
}

#[test]
fn a_file_fits_one_read() {
    const LINES_MAX: usize = 400;
    let mut long = Vec::new();
    for file in rust_files(&repository_path("src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if code > LINES_MAX && !file.to_string_lossy().contains("tests") {
            long.push(format!("{}: {code} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "split these by idea:\n{}", long.join("\n"));
}

#[test]
fn sql_stands_in_files_that_open_with_their_question() {
    let mut silent = Vec::new();
    let mut folders = vec![repository_path("queries")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            count += 1;
            let text = fs::read_to_string(&path).expect("a query");
            if !text.starts_with("-- ") {
                silent.push(path);
            }
        }
    }
    assert!(count > 10, "{count} queries");
    assert!(silent.is_empty(), "these do not open with their question: {silent:?}");
    let product = |file: &PathBuf| !file.components().any(|part| part.as_os_str() == "tests");
    for file in rust_files(&repository_path("src")).into_iter().filter(product) {
        let text = fs::read_to_string(&file).expect("a source file");
        for word in ["format!(\"SELECT", "format!(\"select", "format!(\"WITH "] {
            assert!(!text.contains(word), "{} builds SQL by formatting", file.display());
        }
    }
}
