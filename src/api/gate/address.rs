//! Where a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever asks; none within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl ClientAddress {
    /// The address of the connection's other end; behind a proxy what the
    /// proxy says: the last entry, since a client can write those before.
    pub(crate) fn of(peer: Option<IpAddr>, headers: &HeaderMap, behind_proxy: bool) -> Self {
        if !behind_proxy {
            return Self(peer);
        }
        let last = headers.get_all(FORWARDED_FOR).iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        Self(last.and_then(|text| text.trim().parse().ok()).or(peer))
    }

    /// Its network, as a name to count by: one host has all of an IPv6 /64.
    pub(crate) fn network(self) -> Vec<u8> {
        match self.0.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
            None => Vec::new(),
        }
    }
}

/// The connection's other end, as the listener found it.
pub(super) fn peer_of(extensions: &Extensions) -> Option<SocketAddr> {
    let known = extensions.get::<ConnectInfo<Peer>>().map(|peer| peer.0.0);
    known.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0))
}

/// Whether the request came over a proxy, by its own word.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    [FORWARDED_FOR, "forwarded", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_proxy_is_believed_only_where_there_is_one_and_only_its_own_word() {
        let peer: Option<IpAddr> = "10.0.0.1".parse().ok();
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("6.6.6.6, 192.0.2.7"));
        assert_eq!(ClientAddress::of(peer, &headers, false).0, peer);
        assert_eq!(ClientAddress::of(peer, &headers, true).0, "192.0.2.7".parse().ok());
        headers.append(FORWARDED_FOR, HeaderValue::from_static("192.0.2.8"));
        assert_eq!(ClientAddress::of(peer, &headers, true).0, "192.0.2.8".parse().ok());
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("nobody"));
        assert_eq!(ClientAddress::of(peer, &headers, true).0, peer);
    }

    #[test]
    fn a_host_is_one_whatever_part_of_its_network_it_uses() {
        let network = |text: &str| ClientAddress(text.parse().ok()).network();
        assert_eq!(network("::ffff:127.0.0.1"), network("127.0.0.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}
