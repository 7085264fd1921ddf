//! Who sends a request: whom limits count against.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::access::{Origin, Principal};
use crate::api::caller::Caller;
use crate::api::gate::ClientAddress;
use crate::api::ingest::ORGANIZATION_HEADER;

/// What a sender is known by, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KnownBy {
    /// Its principal: the token, account or issuer's subject.
    Principal,
    /// The organization that the request names for its events.
    Organization,
    /// The address it comes from.
    Address,
}

/// A sender. It holds a hash of what the sender is known by: never the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sender {
    pub(super) known_by: KnownBy,
    digest: [u8; 16],
}

impl Sender {
    fn new(known_by: KnownBy, name: &[u8]) -> Self {
        let hash = Sha256::digest(name);
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        Self { known_by, digest }
    }

    /// Where nobody has to say who they are, the organization tells senders
    /// apart, and else the address.
    pub(super) fn of(
        principal: Option<&Principal>,
        headers: &HeaderMap,
        address: ClientAddress,
    ) -> Self {
        if let Some(principal) = principal.filter(|one| one.origin() != Origin::Anonymous) {
            return Self::new(KnownBy::Principal, principal.share_id().as_bytes());
        }
        if let Some(organization) = headers.get(ORGANIZATION_HEADER) {
            return Self::new(KnownBy::Organization, organization.as_bytes().trim_ascii());
        }
        Self::new(KnownBy::Address, &address.network())
    }

    /// Whether the request says itself who sends it: others may share an
    /// address, be it behind a proxy.
    pub(super) fn is_named(&self) -> bool {
        self.known_by != KnownBy::Address
    }

    /// The sender in words for a message.
    pub(super) fn in_words(&self) -> &'static str {
        match self.known_by {
            KnownBy::Principal => "the sender of this request",
            KnownBy::Organization => "the organization of this request",
            KnownBy::Address => "the address of this request",
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digest of a short name would give it away.
        formatter.debug_struct("Sender").field("known_by", &self.known_by).finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let principal = parts.extensions.get::<Caller>().map(|caller| &*caller.0);
        let address = parts.extensions.get::<ClientAddress>().copied().unwrap_or_default();
        Ok(Self::of(principal, &parts.headers, address))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::access::Permissions;

    fn principal(id: &str, origin: Origin) -> Principal {
        Principal::new(id, "a name", origin, Vec::new(), Permissions::ALL)
    }

    fn sender(principal: Option<&Principal>, organization: &str, address: &str) -> Sender {
        let mut headers = HeaderMap::new();
        if !organization.is_empty() {
            let value = HeaderValue::from_str(organization).expect("a value");
            headers.insert(ORGANIZATION_HEADER, value);
        }
        Sender::of(principal, &headers, ClientAddress(address.parse().ok()))
    }

    #[test]
    fn a_principal_is_one_sender_whatever_it_names_and_wherever_it_is() {
        let (one, other) = (principal("t1", Origin::Token), principal("t2", Origin::Token));
        let known = sender(Some(&one), "0190a3c2", "127.0.0.1");
        assert_eq!(known, sender(Some(&one), "", "127.0.0.2"));
        assert_ne!(known, sender(Some(&other), "0190a3c2", "127.0.0.1"));
    }

    #[test]
    fn nobody_is_told_apart_by_organization_and_else_by_address() {
        let nobody = principal("anonymous", Origin::Anonymous);
        for nobody in [None, Some(&nobody)] {
            let named = sender(nobody, "0190a3c2", "127.0.0.1");
            assert_eq!(named, sender(nobody, "0190a3c2", "127.0.0.2"));
            assert_ne!(named, sender(nobody, "", "127.0.0.1"));
            assert_ne!(sender(nobody, "", "127.0.0.1"), sender(nobody, "", "127.0.0.2"));
        }
    }

    #[test]
    fn what_it_is_known_by_never_shows() {
        let shown = format!("{:?}", sender(Some(&principal("secret", Origin::Token)), "", ""));
        assert_eq!(shown, "Sender { known_by: Principal, .. }");
    }
}
