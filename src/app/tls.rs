//! TLS with the operator's own certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};

/// What the server agrees on TLS by.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// For HTTP/1.1; other protocols set their own names.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, for whoever trusts the data folder: its
    /// name is not that of the loopback address.
    pub certificate_sha256: String,
}

impl ServerTls {
    /// Reads the PEM files of the settings; none where they name none.
    pub fn load(config: &Config) -> Result<Option<Self>> {
        if config.tls_certificate.is_empty() {
            return Ok(None);
        }
        let doing = |setting: &str, path: &str| {
            format!("{setting} is {path}, which cannot be used as a PEM file")
        };
        let path = &config.tls_certificate;
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(Path::new(path))
                .and_then(|certificates| certificates.collect())
                .context(ErrorKind::Invalid, doing("tls_certificate", path))?;
        let first = certificates.first().ok_or_else(|| {
            Error::invalid(format!("tls_certificate is {path}, which holds no certificate"))
        })?;
        let certificate_sha256 = fingerprint(first);
        let path = &config.tls_key;
        let key = PrivateKeyDer::from_pem_file(Path::new(path))
            .context(ErrorKind::Invalid, doing("tls_key", path))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .internal("choosing versions of TLS")?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .context(ErrorKind::Invalid, "tls_certificate and tls_key do not fit together")?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { config: Arc::new(server), certificate_sha256 }))
    }
}

/// SHA-256 of a certificate, in hexadecimal digits.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_do_not_fit_are_refused_by_the_setting() {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let certificate = write("certificate.pem", &one.cert.pem());
        let (key, wrong) = (
            write("key.pem", &one.signing_key.serialize_pem()),
            write("wrong.pem", &other.signing_key.serialize_pem()),
        );
        let load = |certificate: &str, key: &str| {
            ServerTls::load(&Config {
                tls_certificate: certificate.to_owned(),
                tls_key: key.to_owned(),
                ..Config::default()
            })
        };
        let tls = load(&certificate, &key).expect("loaded").expect("TLS");
        assert_eq!(tls.config.alpn_protocols, [b"http/1.1".to_vec()]);
        let said =
            |certificate: &str, key: &str| load(certificate, key).expect_err("refused").to_string();
        assert!(said(&certificate, &wrong).contains("do not fit together"));
        assert!(said(&key, &key).contains("tls_certificate"));
        assert!(said("/nowhere.pem", &key).contains("/nowhere.pem"));
        assert!(said(&certificate, &certificate).contains("tls_key"));
        assert!(ServerTls::load(&Config::default()).expect("none").is_none());
    }
}
