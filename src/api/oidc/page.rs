//! What a person sees whose login failed. Programs get a problem.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::api::problem::Problem;

/// The answer to a login that failed: a page where the browser asks for one.
/// A defect stays a problem, whose cause is written to the log on its way out.
pub(super) fn refusal(headers: &HeaderMap, problem: Problem) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_page = accepts.is_some_and(|accept| accept.contains("text/html"));
    if !wants_page || problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
        return problem.into_response();
    }
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Not logged in \
         - Spendlake</title></head>\n<body>\n<h1>You are not logged in</h1>\n<p>{}</p>\n<p><a \
         href=\"/api/oidc/login\">Log in again</a></p>\n</body>\n</html>\n",
        escape(problem.detail())
    );
    // Status and Retry-After are the problem's.
    let mut response = problem.into_response();
    response.extensions_mut().remove::<Problem>();
    *response.body_mut() = Body::from(page);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The page needs nothing, so nothing in it can do anything.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            one => escaped.push(one),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn what_a_stranger_wrote_is_text_on_the_page() {
        let problem = Problem::new(ErrorKind::Forbidden, "no \"<script>alert('&')</script>\"");
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
        let response = refusal(&headers, problem);
        assert_eq!(response.status(), 403);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        let page = String::from_utf8_lossy(&body);
        let text = "no &quot;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;&quot;";
        assert!(page.contains(text) && !page.contains("<script>"), "{page}");
    }

    #[test]
    fn a_program_gets_a_problem() {
        let problem = Problem::new(ErrorKind::Forbidden, "no");
        let response = refusal(&HeaderMap::new(), problem);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
