//! What the tests share.

pub(crate) mod app;
pub(crate) mod difference;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod naive;
pub(crate) mod postgres;
pub(crate) mod server;
pub(crate) mod tenants;
