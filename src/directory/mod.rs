//! Organizations, departments, teams, users, API keys and memberships: what
//! an event belongs to, and what its ids are called. Nothing here is needed to
//! store an event: an unknown organization is in UTC, an unknown id is its own
//! name.

mod audit;
mod credentials;
mod edit;
pub mod exchange;
mod fields;
mod index;
mod legacy;
mod names;
mod records;
mod registrar;
mod shared;
mod snapshot;
mod store;
mod tables;
mod trail;

#[cfg(test)]
mod tests;

pub use audit::{Audit, AuditFilter, AuditRecord};
pub use credentials::{
    AccountRecord, CredentialEdit, Credentials, IssuedSubject, SessionHolder, SessionRecord,
    SetupRecord, TokenRecord,
};
pub use edit::{Change, Edit, Sighting, unknown};
pub use fields::{Fault, Fields, RecordKind};
pub use names::generated_name;
pub use records::{Details, DirectoryKind, Entry, Membership, NameSince, Origin, Record};
pub use registrar::Registrar;
pub use shared::SharedDirectory;
pub use snapshot::Directory;
pub use store::{Closing, CredentialUse, DirectoryStore, Erasure};
pub use tables::TABLE_NAMES;
pub use trail::AuditTrail;
