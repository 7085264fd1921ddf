//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Writes the file `dir/name` through `fill` and makes contents and name
/// durable. Until then a file of that name stays as it was.
pub(super) fn write_whole<T>(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<(File, T)> {
    let temporary = dir.join(format!("{name}{TEMPORARY_SUFFIX}"));
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(true).open(&temporary)?;
        let filled = fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(name))?;
        File::open(dir)?.sync_all()?;
        Ok((file, filled))
    })();
    if written.is_err() {
        // On a full disk the space matters; a leftover is removed at open.
        fs::remove_file(&temporary).ok();
    }
    written
}
