//! Where the server may listen.

use std::net::SocketAddr;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// Refuses an address that others can reach while nothing tells them apart,
/// or while their credentials would go over the network for all to read.
pub(super) fn check_listening(config: &Config, address: SocketAddr, has_admin: bool) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let refused = |why: &str| {
        let message = format!("listen is {address}, which others can reach, and {why}");
        Err(Error::new(ErrorKind::Forbidden, message))
    };
    if config.insecure_anonymous {
        return refused("insecure_anonymous lets everybody do everything: use 127.0.0.1");
    }
    if !has_admin {
        return refused(
            "there is no administrator yet: start on 127.0.0.1 first and follow the address that \
             is printed, or set SPENDLAKE_INIT_ADMIN_TOKEN_FILE to a file with a token of at \
             least 32 characters",
        );
    }
    if !config.serves_https() {
        return refused(
            "it has no TLS: set tls_certificate and tls_key to PEM files, or behind_proxy where a \
             proxy in front of it does TLS and nobody reaches the server but through it",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_loopback_it_takes_an_admin_and_tls_or_a_proxy() {
        let there = SocketAddr::from(([0, 0, 0, 0], 8787));
        let plain = Config::default();
        let tls = Config {
            tls_certificate: "c".to_owned(),
            tls_key: "k".to_owned(),
            ..Config::default()
        };
        let proxy = Config { behind_proxy: true, ..Config::default() };
        let said = |config: &Config, has_admin| {
            check_listening(config, there, has_admin).expect_err("refused").to_string()
        };
        for config in [&plain, &tls, &proxy] {
            assert!(said(config, false).contains("SPENDLAKE_INIT_ADMIN_TOKEN_FILE"));
        }
        assert!(said(&plain, true).contains("tls_certificate"));
        assert!(check_listening(&tls, there, true).is_ok());
        assert!(check_listening(&proxy, there, true).is_ok());
        let anonymous = Config { insecure_anonymous: true, ..tls };
        assert!(said(&anonymous, true).contains("insecure_anonymous"));
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        assert!(check_listening(&plain, here, false).is_ok());
        assert!(check_listening(&anonymous, here, false).is_ok());
    }
}
