//! The Delta tables: the only module that uses `deltalake`.

mod snapshot;

pub use snapshot::{LakeFile, TableSnapshot};
