//! What every request passes before a handler: who asks, whether the route's
//! rule lets them, and whether a browser was tricked into asking.
//!
//! Deny by default: a route that [`mod@rules`] does not list answers nobody.

mod address;
mod credentials;
mod document;
mod failures;
mod layer;
mod headers;
mod judge;
mod operator;
mod rules;
mod site;

#[cfg(test)]
mod open;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use open::open_gate;

pub use failures::FailedAttempts;
pub use layer::{Authenticate, Gate, GateParts, cookies_of};
pub use operator::OperatorToken;
pub use rules::{Need, Rule, Verb, rules};

pub use address::Peer;

pub(crate) use address::ClientAddress;
pub(super) use document::describe;
pub(super) use headers::guard;
pub(super) use judge::{everywhere, manages};
pub(super) use layer::pass;
