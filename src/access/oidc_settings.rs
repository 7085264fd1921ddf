//! What the settings say about the OpenID Connect provider, checked at the
//! start rather than at the first login.

use std::fmt;
use std::path::Path;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use serde::Deserialize;
use url::Url;

use super::claims::{ClaimRules, GrantTemplate, Mapping};
use super::grant::Role;
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};

/// The path that a provider sends people back to, below `public_url`.
pub const CALLBACK_PATH: &str = "/api/oidc/callback";
/// Most mappings of one file.
const MAPPINGS_MAX: usize = 1_000;
/// Largest file with mappings or a secret, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One provider, and what it is asked for.
#[derive(Debug, Clone)]
pub(super) struct OidcSettings {
    pub(super) issuer: String,
    /// None where no person logs in by it.
    pub(super) people: Option<PeopleSettings>,
    /// None where no machine shows its tokens.
    pub(super) audience: Option<String>,
    pub(super) rules: ClaimRules,
}

/// This server as a client of the provider.
#[derive(Debug, Clone)]
pub(super) struct PeopleSettings {
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) scopes: String,
    pub(super) redirect_url: Url,
    pub(super) asks_userinfo: bool,
}

/// A text that is never shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The file `oidc_mappings_file`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingsFile {
    #[serde(default)]
    mapping: Vec<Mapping>,
    #[serde(default)]
    default: Vec<GrantTemplate>,
}

impl OidcSettings {
    /// None where `oidc_issuer` is empty. `Invalid` where settings do not fit
    /// together, or a file that they name cannot be used.
    pub(super) fn read(config: &Config) -> Result<Option<Self>> {
        if config.oidc_issuer.is_empty() {
            return unused(config).map(|()| None);
        }
        check_url("oidc_issuer", &config.oidc_issuer)?;
        let people = PeopleSettings::read(config)?;
        let audience = nonempty(&config.oidc_audience);
        if people.is_none() && audience.is_none() {
            return Err(Error::invalid(
                "oidc_issuer is set, but neither oidc_client_id (for people) nor oidc_audience \
                 (for machines): nobody could use it",
            ));
        }
        let rules = read_rules(config)?;
        Ok(Some(Self { issuer: config.oidc_issuer.clone(), people, audience, rules }))
    }
}

/// A setting without effect is a mistake that somebody should hear of.
fn unused(config: &Config) -> Result<()> {
    let set = [
        ("oidc_client_id", !config.oidc_client_id.is_empty()),
        ("oidc_audience", !config.oidc_audience.is_empty()),
        ("oidc_mappings_file", !config.oidc_mappings_file.as_os_str().is_empty()),
        ("oidc_trust_grants", config.oidc_trust_grants),
    ];
    match set.into_iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => {
            Err(Error::invalid(format!("{name} is set, but not oidc_issuer, which it needs")))
        }
        None => Ok(()),
    }
}

impl PeopleSettings {
    fn read(config: &Config) -> Result<Option<Self>> {
        let Some(client_id) = nonempty(&config.oidc_client_id) else { return Ok(None) };
        if config.public_url.is_empty() {
            return Err(Error::invalid(
                "oidc_client_id is set, but not public_url: the provider sends people back to an \
                 address below it, as https://spendlake.example.com",
            ));
        }
        let public = check_url("public_url", &config.public_url)?;
        if public.path() != "/" || public.query().is_some() || public.fragment().is_some() {
            return Err(Error::invalid(format!(
                "public_url is {}; it is scheme, host and port only: the server stands at the root",
                config.public_url
            )));
        }
        let joined = public.join(CALLBACK_PATH);
        let redirect_url = joined.context(ErrorKind::Invalid, "public_url cannot be used")?;
        let scopes = config.oidc_scopes.clone();
        if !scopes.split(' ').any(|scope| scope == "openid") {
            return Err(Error::invalid(format!(
                "oidc_scopes is {scopes:?}; it needs openid, or the provider says nothing about \
                 who logs in"
            )));
        }
        let file = &config.oidc_client_secret_file;
        let client_secret =
            (!file.as_os_str().is_empty()).then(|| read_secret(file)).transpose()?;
        let asks_userinfo = config.oidc_userinfo;
        Ok(Some(Self { client_id, client_secret, scopes, redirect_url, asks_userinfo }))
    }
}

fn read_secret(file: &Path) -> Result<Secret> {
    let text = read_file("oidc_client_secret_file", file)?;
    let secret = text.trim();
    if secret.is_empty() {
        let message = format!("oidc_client_secret_file ({}) is empty", file.display());
        return Err(Error::invalid(message));
    }
    Ok(Secret(secret.to_owned()))
}

fn read_rules(config: &Config) -> Result<ClaimRules> {
    let file = &config.oidc_mappings_file;
    let MappingsFile { mapping: mappings, default: defaults } =
        if file.as_os_str().is_empty() { MappingsFile::default() } else { read_mappings(file)? };
    let grants_claim = config.oidc_trust_grants.then(|| config.oidc_roles_claim.clone());
    if grants_claim.as_ref().is_some_and(String::is_empty) {
        return Err(Error::invalid("oidc_trust_grants is set, but oidc_roles_claim is empty"));
    }
    let domains = config.oidc_domains.split(',').map(|domain| domain.trim().to_ascii_lowercase());
    let domains: Vec<_> = domains.filter(|domain| !domain.is_empty()).collect();
    if let Some(odd) = domains.iter().find(|domain| domain.contains('@') || domain.contains('*')) {
        return Err(Error::invalid(format!(
            "oidc_domains names {odd:?}; a domain is written as example.com, each subdomain by \
             itself"
        )));
    }
    Ok(ClaimRules { mappings, defaults, grants_claim, domains })
}

fn read_mappings(file: &Path) -> Result<MappingsFile> {
    let text = read_file("oidc_mappings_file", file)?;
    parse_mappings(&text).map_err(|error| {
        let doing = format!("oidc_mappings_file ({}) cannot be used", file.display());
        Error::invalid(doing).caused_by(error)
    })
}

fn parse_mappings(text: &str) -> Result<MappingsFile> {
    let read = Figment::from(Toml::string(text)).extract::<MappingsFile>();
    let mappings = read.context(ErrorKind::Invalid, "the mappings cannot be read")?;
    let count = mappings.mapping.len() + mappings.default.len();
    if count > MAPPINGS_MAX {
        let message = format!("it has {count} mappings; at most {MAPPINGS_MAX} are read");
        return Err(Error::invalid(message));
    }
    for mapping in &mappings.mapping {
        mapping.check()?;
    }
    if mappings.default.iter().any(|grant| grant.role() == Role::SuperAdmin) {
        return Err(Error::invalid(
            "a default makes everybody whom the provider knows a super admin; map a claim instead",
        ));
    }
    Ok(mappings)
}

fn read_file(setting: &str, file: &Path) -> Result<String> {
    let doing = || format!("{setting} ({}) cannot be read", file.display());
    let bytes = std::fs::metadata(file).context(ErrorKind::Invalid, doing())?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("{}: it has {bytes} bytes, at most {FILE_BYTES_MAX}", doing());
        return Err(Error::invalid(message));
    }
    std::fs::read_to_string(file).context(ErrorKind::Invalid, doing())
}

fn nonempty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A URL that nobody on the way can read or change: https, or http that does
/// not leave this machine.
pub(super) fn check_url(what: &str, text: &str) -> Result<Url> {
    let url: Url = text
        .parse()
        .map_err(|_| Error::invalid(format!("{what} is {text:?}, which is not a URL")))?;
    let allowed = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    if !allowed {
        return Err(Error::invalid(format!(
            "{what} is {text:?}; it starts with https://, or with http:// and a loopback address"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid(format!("{what} holds a name or password; leave them out")));
    }
    Ok(url)
}

/// Whether a URL stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
