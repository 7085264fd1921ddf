//! Arrow Flight SQL, by its own client.

mod access;
pub(crate) mod door;
mod metadata;
mod prepared;
mod statements;
mod tenants;
