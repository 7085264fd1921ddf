//! The cookie of a session.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::error::{Context, Result};

/// How the session's cookie is named and guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookiePolicy {
    /// Browsers reach the server by https, here or at a proxy in front of it:
    /// the cookie goes over nothing else, and to no other host.
    Secure,
    /// Plain http on this machine, where browsers take no `Secure` cookie.
    Loopback,
}

impl CookiePolicy {
    /// The cookie's name.
    pub fn name(self) -> &'static str {
        match self {
            // Browsers take this prefix only with Secure, Path=/ and no Domain.
            Self::Secure => "__Host-spendlake",
            Self::Loopback => "spendlake",
        }
    }

    /// The secret of the session that the request's cookie holds.
    pub fn secret(self, headers: &HeaderMap) -> Option<&str> {
        value_of(headers, self.name())
    }

    /// The value of `Set-Cookie` that keeps `secret` for `seconds_max`.
    pub fn set(self, secret: &str, seconds_max: i64) -> Result<HeaderValue> {
        let (name, guard) = (self.name(), self.guard());
        let text = format!("{name}={secret}; Max-Age={seconds_max}; {guard}");
        HeaderValue::from_str(&text).internal("writing a cookie")
    }

    /// The value of `Set-Cookie` that makes a browser forget the cookie.
    pub fn clear(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Secure => "__Host-spendlake=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure",
            Self::Loopback => "spendlake=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
        })
    }

    fn guard(self) -> &'static str {
        match self {
            Self::Secure => "Path=/; HttpOnly; SameSite=Lax; Secure",
            Self::Loopback => "Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

/// What the request's cookie of this name holds.
pub(super) fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('='));
    found.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        let line = "a=1; xspendlake=no; spendlake=yes; __Host-spendlake=host";
        headers.insert(header::COOKIE, HeaderValue::from_static(line));
        assert_eq!(CookiePolicy::Loopback.secret(&headers), Some("yes"));
        assert_eq!(CookiePolicy::Secure.secret(&headers), Some("host"));
        assert_eq!(CookiePolicy::Secure.secret(&HeaderMap::new()), None);
    }

    #[test]
    fn a_secure_cookie_goes_over_https_to_this_host_only() {
        let value = CookiePolicy::Secure.set("s", 60).expect("a cookie");
        let expected = "__Host-spendlake=s; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(value, expected);
        let loopback = CookiePolicy::Loopback.set("s", 60).expect("a cookie");
        assert!(!loopback.to_str().expect("text").contains("Secure"));
        assert!(CookiePolicy::Secure.set("s\n", 60).is_err());
    }
}
