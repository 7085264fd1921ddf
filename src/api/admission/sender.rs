//! Who sends a request, as far as can be told while nobody has to say.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::api::ingest::ORGANIZATION_HEADER;

/// What a sender is known by, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KnownBy {
    /// The `Authorization` header. It is not checked yet, so this tells
    /// senders apart and keeps nobody out.
    Token,
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

    pub(super) fn of(headers: &HeaderMap, peer: Option<SocketAddr>) -> Self {
        if let Some(token) = headers.get(header::AUTHORIZATION) {
            return Self::new(KnownBy::Token, token.as_bytes());
        }
        if let Some(organization) = headers.get(ORGANIZATION_HEADER) {
            return Self::new(KnownBy::Organization, organization.as_bytes().trim_ascii());
        }
        let network = peer.map(|peer| network_of(peer.ip())).unwrap_or_default();
        Self::new(KnownBy::Address, &network)
    }

    /// Whether the request says itself who sends it: others may share an
    /// address, be it behind a proxy.
    pub(super) fn is_named(&self) -> bool {
        self.known_by != KnownBy::Address
    }

    /// The sender in words for a message.
    pub(super) fn in_words(&self) -> &'static str {
        match self.known_by {
            KnownBy::Token => "the token of this request",
            KnownBy::Organization => "the organization of this request",
            KnownBy::Address => "the address of this request",
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one: one host has all of it.
fn network_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digest of a short token would give it away.
        formatter.debug_struct("Sender").field("known_by", &self.known_by).finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self::of(&parts.headers, peer.map(|peer| peer.0)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn sender(pairs: &[(&'static str, &'static str)], peer: &str) -> Sender {
        let pairs = pairs.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        Sender::of(&pairs.collect(), peer.parse().ok())
    }

    #[test]
    fn a_token_tells_senders_apart_before_an_organization_and_that_before_an_address() {
        let (token, organization) =
            (("authorization", "Bearer a"), (ORGANIZATION_HEADER, "0190a3c2"));
        let here = "127.0.0.1:1";
        assert_eq!(sender(&[token, organization], here), sender(&[token], "127.0.0.2:1"));
        assert_ne!(sender(&[token], here), sender(&[("authorization", "Bearer b")], here));
        assert_eq!(sender(&[organization], here), sender(&[organization], "127.0.0.2:1"));
        assert_ne!(sender(&[organization], here), sender(&[], here));
    }

    #[test]
    fn ports_and_the_hosts_part_of_an_address_do_not_matter() {
        assert_eq!(sender(&[], "127.0.0.1:1"), sender(&[], "127.0.0.1:2"));
        assert_eq!(sender(&[], "[::ffff:127.0.0.1]:1"), sender(&[], "127.0.0.1:2"));
        assert_eq!(sender(&[], "[2001:db8::1]:1"), sender(&[], "[2001:db8::2]:1"));
        assert_ne!(sender(&[], "[2001:db8::1]:1"), sender(&[], "[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn a_token_never_shows() {
        let shown = format!("{:?}", sender(&[("authorization", "Bearer secret")], ""));
        assert_eq!(shown, "Sender { known_by: Token, .. }");
    }
}
