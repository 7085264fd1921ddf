//! The two pages that somebody without a session needs: to sign in, and to set
//! up the first administrator. They load nothing from anywhere.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::AccessDoor;

const STYLE: &str = include_str!("pages/style.css");
const SCRIPT: &str = include_str!("pages/script.js");

/// The way to the identity provider, where there is one.
const PROVIDER: &str = "<p class=\"other\"><a href=\"/api/oidc/login\">Sign in with your identity \
                        provider</a></p>\n";

static LOGIN: LazyLock<Page> = LazyLock::new(|| Page::of(&login_with("")));
static LOGIN_BY_PROVIDER: LazyLock<Page> = LazyLock::new(|| Page::of(&login_with(PROVIDER)));
static SETUP: LazyLock<Page> = LazyLock::new(|| Page::of(include_str!("pages/setup.html")));

fn login_with(provider: &str) -> String {
    include_str!("pages/login.html").replace("{{provider}}\n", provider)
}

/// A page with style and script in it, and the policy that allows exactly
/// those.
struct Page {
    html: String,
    policy: String,
}

impl Page {
    fn of(template: &str) -> Self {
        let html = template.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT);
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src \
             'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            digest(STYLE),
            digest(SCRIPT),
        );
        Self { html, policy }
    }

    fn answer(&self) -> Response {
        let mut response = Html(self.html.clone()).into_response();
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&self.policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn digest(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// A page to sign in.
#[utoipa::path(
    get, path = "/login", tag = "access", security(()),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub(crate) async fn login_page(State(door): State<AccessDoor>) -> Response {
    if door.offers_oidc { LOGIN_BY_PROVIDER.answer() } else { LOGIN.answer() }
}

/// A page to set up the first administrator.
#[utoipa::path(
    get, path = "/setup", tag = "access", security(()),
    responses((status = 200, body = String, content_type = "text/html"))
)]
pub(crate) async fn setup_page() -> Response {
    SETUP.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_exactly_what_its_policy_allows() {
        for page in [&*LOGIN, &*LOGIN_BY_PROVIDER, &*SETUP] {
            let between = |start: &str, end: &str| {
                let (_, rest) = page.html.split_once(start).expect(start);
                rest.split_once(end).expect(end).0.to_owned()
            };
            let style = digest(&between("<style>", "</style>"));
            let script = digest(&between("<script>", "</script>"));
            assert!(page.policy.contains(&format!("style-src 'sha256-{style}'")));
            assert!(page.policy.contains(&format!("script-src 'sha256-{script}'")));
            assert_eq!(page.html.matches("<script").count(), 1);
            for outside in ["http:", "https:", "src=", "style=\"", "onclick"] {
                assert!(!page.html.contains(outside), "{outside}");
            }
        }
    }

    #[test]
    fn the_way_to_the_provider_is_shown_where_there_is_one() {
        assert!(LOGIN_BY_PROVIDER.html.contains("href=\"/api/oidc/login\""));
        assert!(!LOGIN.html.contains("<a "), "{}", LOGIN.html);
        for page in [&LOGIN, &LOGIN_BY_PROVIDER, &SETUP] {
            assert!(!page.html.contains("{{"), "{}", page.html);
        }
    }

    #[test]
    fn after_signing_in_the_origin_stays_before_the_path() {
        // What a browser makes of an address, only a browser knows.
        assert!(SCRIPT.contains("url.origin === location.origin ? url.origin + url.pathname"));
        assert_eq!(SCRIPT.matches("location.assign(").count(), 1);
        assert!(SCRIPT.contains("location.assign(target)"));
    }
}
