//! The file with the operator's token: whoever may read the data folder may
//! use the server that holds it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::api::OperatorToken;
use crate::error::{Context, ErrorKind, Result};

const FILE_NAME: &str = "operator-token";

/// The file, removed when this is dropped.
#[derive(Debug)]
pub(super) struct OperatorFile(PathBuf);

impl OperatorFile {
    /// Writes the token for the owner of the folder alone. The folder's lock
    /// must be held: a file that is there is a stopped server's.
    pub(super) fn write(data_dir: &Path, token: &OperatorToken) -> Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let write = || -> std::io::Result<()> {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            // A new file: nobody holds it open, and nobody chose its rights.
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&path)?;
            file.write_all(token.secret().as_bytes())?;
            file.sync_all()
        };
        let doing = format!("cannot write {}", path.display());
        write().context(ErrorKind::Unavailable, doing)?;
        Ok(Self(path))
    }
}

impl Drop for OperatorFile {
    fn drop(&mut self) {
        // What stays opens nothing: the next start makes another token.
        let _ = fs::remove_file(&self.0);
    }
}

/// The operator's token of the server that holds `data_dir`, where whoever
/// asks may read it.
pub fn operator_token(data_dir: &Path) -> Option<String> {
    fs::read_to_string(data_dir.join(FILE_NAME)).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::SystemRandomness;

    #[test]
    fn the_file_is_its_owners_alone_and_goes_with_the_server() {
        let folder = tempfile::tempdir().expect("folder");
        let token = OperatorToken::generate(&SystemRandomness).expect("a token");
        fs::write(folder.path().join(FILE_NAME), "of a server that was killed").expect("written");
        let file = OperatorFile::write(folder.path(), &token).expect("written");
        assert_eq!(operator_token(folder.path()).as_deref(), Some(token.secret()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let rights = fs::metadata(&file.0).expect("a file").permissions().mode();
            assert_eq!(rights & 0o777, 0o600);
        }
        drop(file);
        assert_eq!(operator_token(folder.path()), None);
    }
}
