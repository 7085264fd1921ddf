//! Headers that every answer has.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

/// Name and value of each header that an answer gets unless it has its own.
const DEFAULTS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Middleware: guards answers against being read, framed or guessed at by
/// other sites, and tells those who are not known how to say who they are.
pub(in crate::api) async fn guard(request: Request, next: Next) -> Response {
    // Browsers would ask for a password in a window of their own.
    let is_browser = request.headers().contains_key("sec-fetch-site");
    let mut response = next.run(request).await;
    let is_unknown = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_unknown && !headers.contains_key(header::WWW_AUTHENTICATE) {
        let bearer = HeaderValue::from_static("Bearer realm=\"spendlake\"");
        headers.insert(header::WWW_AUTHENTICATE, bearer);
        if !is_browser {
            let basic = HeaderValue::from_static("Basic realm=\"spendlake\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, basic);
        }
    }
    response
}
