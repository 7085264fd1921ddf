//! Whether a request was made by our own pages: cross-site request forgery,
//! and names that point to this machine.

use axum::http::{HeaderMap, header};
use url::Url;

use crate::api::problem::Problem;
use crate::error::{Error, ErrorKind, Result};

/// Where browsers reach the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Site {
    /// `https://spendlake.example.com`; without it the request's Host counts.
    origin: Option<String>,
}

impl Site {
    /// The site of the setting `public_url`; empty for none.
    pub(super) fn new(public_url: &str) -> Result<Self> {
        if public_url.is_empty() {
            return Ok(Self::default());
        }
        let url =
            Url::parse(public_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            Error::invalid(format!(
                "public_url is {public_url:?}; it is an address such as \
                 https://spendlake.example.com"
            ))
        })?;
        Ok(Self { origin: Some(url.origin().ascii_serialization()) })
    }

    /// Refuses what another site made a browser send with our cookie, and what
    /// a form could have sent.
    pub(super) fn check_session(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.is_own(headers) {
            Some(true) => {}
            Some(false) => return Err(forged("another site made this request")),
            None => return Err(forged("neither Sec-Fetch-Site, Origin nor Referer says who asks")),
        }
        if is_form(headers) {
            return Err(forged("a form cannot ask this; send application/json"));
        }
        Ok(())
    }

    /// Refuses what another site made a browser send, where a browser says so.
    pub(super) fn check_browser(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.is_own(headers) {
            Some(false) => Err(forged("another site made this request")),
            Some(true) | None => Ok(()),
        }
    }

    /// Whether our own page, or nobody's, made the request; `None` where it
    /// does not say.
    fn is_own(&self, headers: &HeaderMap) -> Option<bool> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if let Some(site) = text("sec-fetch-site") {
            return Some(matches!(site, "same-origin" | "none"));
        }
        let named = text(header::ORIGIN.as_str()).or(text(header::REFERER.as_str()))?;
        let Ok(named) = Url::parse(named) else { return Some(false) };
        match &self.origin {
            Some(own) => Some(named.origin().ascii_serialization() == *own),
            None => {
                let host = text(header::HOST.as_str())?;
                let named_host = named.host_str()?;
                let with_port = named.port().map(|port| format!("{named_host}:{port}"));
                Some(host.eq_ignore_ascii_case(&with_port.unwrap_or(named_host.to_owned())))
            }
        }
    }
}

/// Refuses a request to a name that is not this machine's: a site whose name
/// points here could read what needs no credentials.
pub(super) fn check_loopback_host(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let host = Url::parse(&format!("http://{}", host.to_str().unwrap_or_default())).ok();
    let is_here = match host.as_ref().and_then(Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_here {
        return Ok(());
    }
    Err(forged("without credentials the server answers to localhost only, by this name"))
}

/// Whether a form, which any site may hold, could send such a body.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let forms = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    forms.iter().any(|form| kind.eq_ignore_ascii_case(form))
}

fn forged(why: &str) -> Problem {
    let detail = format!(
        "{why}; nothing was done. Requests with an access token as Bearer are not bound by this"
    );
    Problem::new(ErrorKind::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    fn passes(public_url: &str, pairs: &[(&'static str, &'static str)]) -> bool {
        let site = Site::new(public_url).expect("a site");
        site.check_session(&headers(pairs)).is_ok()
    }

    #[test]
    fn fetch_metadata_decides_where_it_is() {
        let other = ("origin", "https://evil.example");
        assert!(passes("", &[("sec-fetch-site", "same-origin")]));
        assert!(passes("", &[("sec-fetch-site", "none")]));
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN"] {
            assert!(!passes("", &[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!passes("", &[("sec-fetch-site", "cross-site"), ("host", "evil.example"), other]));
    }

    #[test]
    fn without_it_the_origin_must_be_ours() {
        let host = ("host", "spend.example:8787");
        assert!(passes("", &[host, ("origin", "http://spend.example:8787")]));
        assert!(passes("", &[host, ("referer", "http://spend.example:8787/page?q=1")]));
        for origin in ["http://spend.example", "http://evil.example", "null", "nonsense"] {
            assert!(!passes("", &[host, ("origin", origin)]), "{origin}");
        }
        assert!(!passes("", &[host]), "who does not say is refused");
        let public = "https://spend.example/";
        assert!(passes(public, &[host, ("origin", "https://spend.example")]));
        assert!(!passes(public, &[host, ("origin", "http://spend.example:8787")]));
    }

    #[test]
    fn forms_are_refused() {
        let own = ("sec-fetch-site", "same-origin");
        assert!(passes("", &[own, ("content-type", "application/json; charset=utf-8")]));
        for kind in ["application/x-www-form-urlencoded", "Multipart/Form-Data; boundary=x"] {
            assert!(!passes("", &[own, ("content-type", kind)]), "{kind}");
        }
        assert!(!passes("", &[own, ("content-type", "text/plain")]));
    }

    #[test]
    fn a_foreign_name_of_this_machine_is_refused() {
        let here = |host| check_loopback_host(&headers(&[("host", host)])).is_ok();
        assert!(here("127.0.0.1:8787") && here("localhost") && here("[::1]:8787"));
        assert!(!here("evil.example:8787") && !here("127.0.0.1.evil.example") && !here("10.0.0.1"));
    }

    #[test]
    fn a_public_url_must_be_one() {
        assert!(Site::new("spendlake.example.com").is_err());
        assert!(Site::new("ftp://spendlake.example.com").is_err());
    }
}
