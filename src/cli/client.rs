//! The HTTP client towards a server: whose word it takes for the server's,
//! and the token that it shows.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use url::Url;

use crate::app::{RunningServer, fingerprint, operator_token};
use crate::error::{Context, Error, ErrorKind, Result};

/// The variable with the token for a server elsewhere.
const TOKEN_VARIABLE: &str = "SPENDLAKE_TOKEN";

/// A client that sends no token.
#[cfg(test)]
pub(super) fn plain() -> Result<Client> {
    finish(builder(None)?)
}

/// A client of the server that holds `data_dir`, on this machine. Whoever may
/// read the folder is its operator. Its certificate names another address, so
/// that one certificate is trusted, and no other.
pub(super) fn of_holder(server: &RunningServer, data_dir: &Path) -> Result<Client> {
    let token = operator_token(data_dir).or_else(token_of_environment);
    let builder = builder(token)?;
    let Some(certificate_sha256) = server.certificate_sha256.clone() else {
        return finish(builder);
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = PinnedCertificate { certificate_sha256, provider: Arc::clone(&provider) };
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .internal("choosing versions of TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    finish(builder.use_preconfigured_tls(tls))
}

/// A client of a server elsewhere, with the token of the environment.
pub(super) fn elsewhere(url: &Url, ca_certificate: Option<&Path>) -> Result<Client> {
    let token = token_of_environment();
    check_transport(url, token.is_some())?;
    let mut builder = builder(token)?;
    if let Some(path) = ca_certificate {
        let shown = path.display();
        let pem = std::fs::read(path)
            .context(ErrorKind::NotFound, format!("cannot read {shown}; check --ca-certificate"))?;
        let certificate = Certificate::from_pem(&pem).context(
            ErrorKind::Invalid,
            format!("{shown} is no PEM certificate; check --ca-certificate"),
        )?;
        builder = builder.tls_built_in_root_certs(false).add_root_certificate(certificate);
    }
    finish(builder)
}

/// Refuses to send a token where everybody on the way could read it.
fn check_transport(url: &Url, has_token: bool) -> Result<()> {
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here || !has_token => Ok(()),
        "http" => Err(Error::invalid(format!(
            "the server is {url}, and {TOKEN_VARIABLE} would go there for all to read; use https"
        ))),
        _ => Err(Error::invalid(format!("the server is {url}; it is an https address"))),
    }
}

fn token_of_environment() -> Option<String> {
    std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty())
}

fn builder(token: Option<String>) -> Result<ClientBuilder> {
    // Another part of the process may have chosen one: theirs will do.
    let _ = aws_lc_rs::default_provider().install_default();
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value =
            value.context(ErrorKind::Invalid, "the token has characters that no token has")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(Client::builder().default_headers(headers))
}

fn finish(builder: ClientBuilder) -> Result<Client> {
    builder.no_proxy().build().internal("starting the HTTP client")
}

/// Trusts one certificate, whatever it names.
#[derive(Debug)]
struct PinnedCertificate {
    certificate_sha256: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if fingerprint(end_entity) == self.certificate_sha256 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("the server shows another certificate than it announced".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_https_or_stays_on_this_machine() {
        let goes = |url: &str| check_transport(&url.parse().expect("a URL"), true).is_ok();
        assert!(goes("https://spend.example") && goes("http://127.0.0.1:8787"));
        assert!(goes("http://localhost:1") && goes("http://[::1]:1"));
        assert!(!goes("http://spend.example") && !goes("ftp://spend.example"));
        assert!(check_transport(&"http://spend.example".parse().expect("a URL"), false).is_ok());
    }
}
