//! The credential that a request shows: a Bearer header, else a Basic one,
//! else the session's cookie. Exactly one counts.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::access::Credential;
use crate::api::CookiePolicy;
use crate::error::{Error, Result};

/// Longest credential, bytes: signed tokens have a few thousand.
const CREDENTIAL_BYTES_MAX: usize = 16 << 10;

/// The request's credential; none where it shows none. A header decides
/// before a cookie, and where it is wrong the cookie does not help. What is
/// malformed is `Unauthenticated`.
pub(super) fn shown(headers: &HeaderMap, cookies: CookiePolicy) -> Result<Option<Credential>> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        let secret = cookies.secret(headers).filter(|secret| !secret.is_empty());
        return Ok(secret.map(|secret| Credential::Session(secret.to_owned())));
    };
    if lines.next().is_some() {
        return Err(refused("there are two Authorization headers; send one"));
    }
    if line.len() > CREDENTIAL_BYTES_MAX {
        return Err(refused("the Authorization header is longer than any credential"));
    }
    let text = line.to_str().map_err(|_| refused("the Authorization header is not text"))?;
    let (scheme, value) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let value = value.trim();
    let token = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => value.to_owned(),
        "basic" => password_of(value)?,
        // The header's content stays out of the message: it may be a token.
        _ => return Err(refused("the Authorization header is neither Bearer nor Basic")),
    };
    if token.is_empty() || token.contains(|one: char| one.is_whitespace() || one.is_control()) {
        return Err(refused("the Authorization header holds no token"));
    }
    Ok(Some(Credential::bearer(token)))
}

/// Whether the credential is a Basic one.
pub(super) fn is_basic(headers: &HeaderMap) -> bool {
    let line = headers.get(header::AUTHORIZATION).and_then(|line| line.to_str().ok());
    let scheme = line.and_then(|line| line.trim().split(' ').next());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

/// The password of a Basic credential, which is the token. The user name may
/// be anything; some clients have only a place for it, and send the token
/// there.
fn password_of(value: &str) -> Result<String> {
    let rule = "the Basic credential is not the base64 of NAME:TOKEN";
    let bytes = STANDARD.decode(value).map_err(|_| refused(rule))?;
    let text = String::from_utf8(bytes).map_err(|_| refused(rule))?;
    let (name, password) = text.split_once(':').ok_or_else(|| refused(rule))?;
    Ok(if password.is_empty() { name } else { password }.to_owned())
}

fn refused(why: &str) -> Error {
    Error::new(crate::error::ErrorKind::Unauthenticated, why)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn shown_by(pairs: &[(&'static str, &'static str)]) -> Result<Option<Credential>> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        shown(&headers, CookiePolicy::Loopback)
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_basic() {
        let token = Some(Credential::Token("slk_1".to_owned()));
        assert_eq!(shown_by(&[("authorization", "Bearer slk_1")]).expect("one"), token);
        assert_eq!(shown_by(&[("authorization", "bearer  slk_1 ")]).expect("one"), token);
        // name:slk_1, then :slk_1, then slk_1: as some clients do.
        for value in ["Basic bmFtZTpzbGtfMQ==", "basic OnNsa18x", "Basic c2xrXzE6"] {
            assert_eq!(shown_by(&[("authorization", value)]).expect(value), token, "{value}");
        }
        assert_eq!(shown_by(&[]).expect("none"), None);
    }

    #[test]
    fn a_header_decides_before_a_cookie() {
        let cookie = ("cookie", "spendlake=secret");
        let session = Some(Credential::Session("secret".to_owned()));
        assert_eq!(shown_by(&[cookie]).expect("one"), session);
        let token = Some(Credential::Token("slk_1".to_owned()));
        assert_eq!(shown_by(&[cookie, ("authorization", "Bearer slk_1")]).expect("one"), token);
        assert!(shown_by(&[cookie, ("authorization", "Bearer")]).is_err());
    }

    #[test]
    fn what_is_malformed_or_stands_twice_is_refused() {
        let bearer = ("authorization", "Bearer slk_1");
        for pairs in [
            vec![bearer, bearer],
            vec![("authorization", "")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", "Bearer a b")],
            vec![("authorization", "slk_1")],
            vec![("authorization", "Digest slk_1")],
            vec![("authorization", "Basic %%%")],
            vec![("authorization", "Basic c2xrXzE=")],
        ] {
            let error = shown_by(&pairs).expect_err("refused");
            assert!(!error.to_string().contains("slk_1"), "{error}");
        }
    }
}
