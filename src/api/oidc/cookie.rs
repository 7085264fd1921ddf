//! The cookie that ties a login to the browser that began it. It is not the
//! session's: it opens nothing by itself, and is gone when the login ends.

use axum::http::{HeaderMap, HeaderValue};

use crate::api::cookie::{CookiePolicy, value_of};
use crate::error::{Context as _, Result};

/// Lax, since the provider's page leads back here.
const GUARD: &str = "Path=/; HttpOnly; SameSite=Lax";

fn name(policy: CookiePolicy) -> &'static str {
    match policy {
        CookiePolicy::Secure => "__Host-spendlake-login",
        CookiePolicy::Loopback => "spendlake-login",
    }
}

fn line(policy: CookiePolicy, secret: &str, seconds_max: i64) -> String {
    let secure = if policy == CookiePolicy::Secure { "; Secure" } else { "" };
    format!("{}={secret}; Max-Age={seconds_max}; {GUARD}{secure}", name(policy))
}

/// What the request's cookie holds.
pub(super) fn secret(policy: CookiePolicy, headers: &HeaderMap) -> Option<&str> {
    value_of(headers, name(policy))
}

/// The value of `Set-Cookie` that keeps `secret` for `seconds_max`.
pub(super) fn set(policy: CookiePolicy, secret: &str, seconds_max: i64) -> Result<HeaderValue> {
    HeaderValue::from_str(&line(policy, secret, seconds_max)).internal("writing a cookie")
}

/// The value of `Set-Cookie` that makes a browser forget the cookie.
pub(super) fn clear(policy: CookiePolicy) -> HeaderValue {
    let line = line(policy, "", 0);
    HeaderValue::from_str(&line).unwrap_or_else(|_| HeaderValue::from_static(""))
}
