//! What the tests share.

pub(crate) mod app;
pub(crate) mod events;
pub(crate) mod server;
