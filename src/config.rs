//! Settings: one reader of flags, environment and `spendlake.toml`.
//!
//! Precedence: flag, then environment variable, then file, then default. A
//! key that is not listed here is an error in the file and in the environment.

mod secret;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::ValueRange;
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::model::SourcePrecedence;

pub use secret::Secret;

/// Longest session, hours.
const SESSION_HOURS_LIMIT: u32 = 90 * 24;

/// Longest age that a setting may name, days: a hundred years.
const AGE_DAYS_LIMIT: u32 = 36_525;

/// How many values a setting's flag takes: that of a truth needs none.
fn values_of(kind: &str) -> ValueRange {
    if kind == "bool" { ValueRange::new(0..=1) } else { ValueRange::new(1) }
}

/// Declares every setting once: its documentation (which is its `--help`),
/// name, type, default, environment variable and help heading.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:expr, $env:literal, $heading:literal;)+) => {
        /// Every setting, resolved.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $kind,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// The settings as flags; what is absent comes from the file or the default.
        #[derive(Debug, Clone, Default, Args, Serialize)]
        pub struct ConfigArgs {
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $env, help_heading = $heading, hide_env_values = true, global = true)]
                #[arg(num_args = values_of(stringify!($kind)), default_missing_value = "true")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$kind>,
            )+
        }

        const ENVIRONMENT: &[&str] = &[$($env,)+ "SPENDLAKE_CONFIG", "SPENDLAKE_LOG", "SPENDLAKE_LOG_FORMAT", "SPENDLAKE_SERVER", "SPENDLAKE_TOKEN", "SPENDLAKE_CA_CERTIFICATE"];
    };
}

settings! {
    /// Folder of everything that is stored [default: ./spendlake-data]
    data_dir: PathBuf = PathBuf::from("spendlake-data"), "SPENDLAKE_DATA_DIR", "Where";
    /// Address to serve HTTP on; 127.0.0.1:0 picks a free port; off loopback it takes an administrator, and TLS or behind_proxy [default: 127.0.0.1:8787]
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8787)), "SPENDLAKE_LISTEN", "Where";

    /// Address to serve the PostgreSQL protocol on, as 127.0.0.1:5432; empty serves none [default: empty]
    pg_listen: String = String::new(), "SPENDLAKE_PG_LISTEN", "Where";
    /// PostgreSQL connections at once; more are refused [default: 200]
    pg_connections_max: usize = 200, "SPENDLAKE_PG_CONNECTIONS_MAX", "Queries";
    /// Seconds that a PostgreSQL connection may do nothing [default: 3600]
    pg_idle_seconds_max: u32 = 3600, "SPENDLAKE_PG_IDLE_SECONDS_MAX", "Queries";
    /// Address to serve Arrow Flight SQL on, for ADBC drivers; empty: not served [default: empty]
    flight_listen: String = String::new(), "SPENDLAKE_FLIGHT_LISTEN", "Where";
    /// Connections of Arrow Flight SQL at once; more are closed at once [default: 64]
    flight_connections_max: usize = 64, "SPENDLAKE_FLIGHT_CONNECTIONS_MAX", "Where";

    /// Address that browsers reach the server under, beginning with its scheme; needed for logins with OpenID Connect [default: empty]
    public_url: String = String::new(), "SPENDLAKE_PUBLIC_URL", "Where";

    /// PEM file with the certificate, and those up to its issuer; empty serves plain HTTP [default: empty]
    tls_certificate: String = String::new(), "SPENDLAKE_TLS_CERTIFICATE", "Access";
    /// PEM file with the certificate's private key [default: empty]
    tls_key: String = String::new(), "SPENDLAKE_TLS_KEY", "Access";
    /// A proxy in front does TLS and says by X-Forwarded-For who asks; nobody reaches the server but through it [default: false]
    behind_proxy: bool = false, "SPENDLAKE_BEHIND_PROXY", "Access";
    /// Ask nobody who they are: everybody on this machine may do everything; loopback only [default: false]
    insecure_anonymous: bool = false, "SPENDLAKE_INSECURE_ANONYMOUS", "Access";
    /// Answer /metrics to this machine without credentials [default: false]
    metrics_open: bool = false, "SPENDLAKE_METRICS_OPEN", "Access";

    /// PostgreSQL with the directory, for several nodes; empty: a file in the data folder [default: empty]
    directory_url: String = String::new(), "SPENDLAKE_DIRECTORY_URL", "Directory";
    /// Refuse events of organizations that the directory does not know [default: false]
    registration_required: bool = false, "SPENDLAKE_REGISTRATION_REQUIRED", "Directory";

    /// OpenID Connect provider, exactly as it names itself; empty for none [default: empty]
    oidc_issuer: String = String::new(), "SPENDLAKE_OIDC_ISSUER", "OpenID Connect";
    /// This server's client id at the provider; empty lets no person log in by it [default: empty]
    oidc_client_id: String = String::new(), "SPENDLAKE_OIDC_CLIENT_ID", "OpenID Connect";
    /// File with the client's secret; empty for a public client [default: empty]
    oidc_client_secret_file: PathBuf = PathBuf::new(), "SPENDLAKE_OIDC_CLIENT_SECRET_FILE", "OpenID Connect";
    /// Scopes that a login asks for, with spaces between [default: openid profile email]
    oidc_scopes: String = "openid profile email".to_owned(), "SPENDLAKE_OIDC_SCOPES", "OpenID Connect";
    /// Ask the provider's userinfo_endpoint for claims that its identity tokens leave out [default: false]
    oidc_userinfo: bool = false, "SPENDLAKE_OIDC_USERINFO", "OpenID Connect";
    /// Audience (aud) of the access tokens of machines; empty takes none [default: empty]
    oidc_audience: String = String::new(), "SPENDLAKE_OIDC_AUDIENCE", "OpenID Connect";
    /// File (TOML) that maps claims to roles; empty maps none [default: empty]
    oidc_mappings_file: PathBuf = PathBuf::new(), "SPENDLAKE_OIDC_MAPPINGS_FILE", "OpenID Connect";
    /// Take grants as the provider writes them in oidc_roles_claim [default: false]
    oidc_trust_grants: bool = false, "SPENDLAKE_OIDC_TRUST_GRANTS", "OpenID Connect";
    /// Claim with those grants; dots name nested claims [default: spendlake_grants]
    oidc_roles_claim: String = "spendlake_grants".to_owned(), "SPENDLAKE_OIDC_ROLES_CLAIM", "OpenID Connect";
    /// Domains whose verified e-mail addresses may log in, with commas between; empty for any person [default: empty]
    oidc_domains: String = String::new(), "SPENDLAKE_OIDC_DOMAINS", "OpenID Connect";

    /// Largest request body after decompression, bytes [default: 67108864]
    body_bytes_max: usize = 64 << 20, "SPENDLAKE_BODY_BYTES_MAX", "Ingest";
    /// Longest single event, bytes [default: 1048576]
    line_bytes_max: usize = 1 << 20, "SPENDLAKE_LINE_BYTES_MAX", "Ingest";
    /// Most events in one request [default: 50000]
    request_events_max: usize = 50_000, "SPENDLAKE_REQUEST_EVENTS_MAX", "Ingest";
    /// Requests that may wait for the log before the server answers 503; one organization gets half [default: 1024]
    ingest_queue_max: usize = 1024, "SPENDLAKE_INGEST_QUEUE_MAX", "Ingest";
    /// Events of those requests; one organization gets half [default: 500000]
    ingest_queue_rows_max: usize = 500_000, "SPENDLAKE_INGEST_QUEUE_ROWS_MAX", "Ingest";
    /// Bodies held in memory at once, bytes, before the server answers 503; one sender gets half [default: 268435456]
    ingest_bytes_max: usize = 256 << 20, "SPENDLAKE_INGEST_BYTES_MAX", "Ingest";
    /// Events that one sender may send each second before it is answered 429; 0 for any number [default: 0]
    ingest_events_per_second_max: u32 = 0, "SPENDLAKE_INGEST_EVENTS_PER_SECOND_MAX", "Ingest";
    /// Bytes of bodies, decompressed, that one sender may send each second; 0 for any number [default: 0]
    ingest_bytes_per_second_max: u64 = 0, "SPENDLAKE_INGEST_BYTES_PER_SECOND_MAX", "Ingest";
    /// How far ahead of the clock event_time may be, seconds [default: 3600]
    event_future_seconds_max: u32 = 3600, "SPENDLAKE_EVENT_FUTURE_SECONDS_MAX", "Ingest";
    /// Oldest event_time accepted, days; 0 accepts any age [default: 0]
    event_age_days_max: u32 = 0, "SPENDLAKE_EVENT_AGE_DAYS_MAX", "Ingest";
    /// Organization (a UUID) of events that name none; empty refuses them [default: empty]
    organization_default: String = String::new(), "SPENDLAKE_ORGANIZATION_DEFAULT", "Ingest";
    /// Days for which a resent event is recognised whatever its event_time [default: 35]
    dedup_window_days: u32 = 35, "SPENDLAKE_DEDUP_WINDOW_DAYS", "Ingest";
    /// Sources, those first whose events count when several saw one request; * is every other [default: litellm,api,*,gen-ai,claude-code,codex,gemini-cli,claude-code-transcript]
    source_precedence: SourcePrecedence = SourcePrecedence::default(), "SPENDLAKE_SOURCE_PRECEDENCE", "Ingest";

    /// Age of the oldest hot row that starts a flush, seconds [default: 60]
    flush_interval_seconds: u32 = 60, "SPENDLAKE_FLUSH_INTERVAL_SECONDS", "Flush";
    /// Hot rows that start a flush [default: 500000]
    flush_rows_max: usize = 500_000, "SPENDLAKE_FLUSH_ROWS_MAX", "Flush";
    /// Hot bytes that start a flush [default: 268435456]
    flush_bytes_max: usize = 256 << 20, "SPENDLAKE_FLUSH_BYTES_MAX", "Flush";
    /// Hot rows at which ingest answers 503 until a flush catches up [default: 3000000]
    hot_rows_max: usize = 3_000_000, "SPENDLAKE_HOT_ROWS_MAX", "Flush";
    /// Size of one write-ahead log segment, bytes [default: 67108864]
    wal_segment_bytes_max: u64 = 64 << 20, "SPENDLAKE_WAL_SEGMENT_BYTES_MAX", "Flush";

    /// Files of one day that start its compaction [default: 24]
    compact_files_max: usize = 24, "SPENDLAKE_COMPACT_FILES_MAX", "Maintenance";
    /// Seconds between looks for maintenance work [default: 30]
    maintenance_interval_seconds: u32 = 30, "SPENDLAKE_MAINTENANCE_INTERVAL_SECONDS", "Maintenance";
    /// Hours that replaced files stay readable for older snapshots [default: 168]
    vacuum_retention_hours: u32 = 168, "SPENDLAKE_VACUUM_RETENTION_HOURS", "Maintenance";
    /// Days that the Delta log keeps its history [default: 30]
    log_retention_days: u32 = 30, "SPENDLAKE_LOG_RETENTION_DAYS", "Maintenance";

    /// Days that usage_events keeps, 0 for ever; the daily sums stay longer [default: 0]
    usage_events_retention_days: u32 = 0, "SPENDLAKE_USAGE_EVENTS_RETENTION_DAYS", "Retention";
    /// Days that usage_daily keeps, 0 for ever; at least as many as usage_events [default: 0]
    usage_daily_retention_days: u32 = 0, "SPENDLAKE_USAGE_DAILY_RETENTION_DAYS", "Retention";
    /// Days that rejected_events keeps, 0 for ever [default: 0]
    rejected_events_retention_days: u32 = 0, "SPENDLAKE_REJECTED_EVENTS_RETENTION_DAYS", "Retention";
    /// Days that sightings keeps, 0 for ever [default: 0]
    sightings_retention_days: u32 = 0, "SPENDLAKE_SIGHTINGS_RETENTION_DAYS", "Retention";
    /// Days that provider_costs keeps, 0 for ever [default: 0]
    provider_costs_retention_days: u32 = 0, "SPENDLAKE_PROVIDER_COSTS_RETENTION_DAYS", "Retention";

    /// Memory for the daily aggregates, bytes; above it they are read from Parquet [default: 1073741824]
    rollup_cache_bytes_max: usize = 1 << 30, "SPENDLAKE_ROLLUP_CACHE_BYTES_MAX", "Queries";
    /// Memory for SQL, bytes, 0 for a quarter of the machine's or container's, at least 512 MiB; beyond it sorts and aggregates spill to disk. Dashboards and exports have as much beside it [default: 0]
    query_memory_bytes_max: usize = 0, "SPENDLAKE_QUERY_MEMORY_BYTES_MAX", "Queries";
    /// The part of it that the statements of one caller may have together, bytes, 0 for half of it [default: 0]
    query_memory_per_principal_bytes_max: usize = 0, "SPENDLAKE_QUERY_MEMORY_PER_PRINCIPAL_BYTES_MAX", "Queries";
    /// Longest run of one SQL statement, seconds [default: 120]
    query_seconds_max: u32 = 120, "SPENDLAKE_QUERY_SECONDS_MAX", "Queries";
    /// SQL statements that run at once; more wait [default: 4]
    query_concurrency_max: usize = 4, "SPENDLAKE_QUERY_CONCURRENCY_MAX", "Queries";
    /// Statements of one caller that run at once; more of them wait [default: 2]
    query_concurrency_per_principal_max: usize = 2, "SPENDLAKE_QUERY_CONCURRENCY_PER_PRINCIPAL_MAX", "Queries";
    /// Statements that may wait for a place before the server answers 503; one caller gets half [default: 64]
    query_queue_max: usize = 64, "SPENDLAKE_QUERY_QUEUE_MAX", "Queries";
    /// Longest wait of a statement for a place, seconds, before it is answered 503 [default: 30]
    query_wait_seconds_max: u32 = 30, "SPENDLAKE_QUERY_WAIT_SECONDS_MAX", "Queries";
    /// Most rows of one answer, 0 for any number; an answer of more is an error, never cut off silently [default: 0]
    query_rows_max: u64 = 0, "SPENDLAKE_QUERY_ROWS_MAX", "Queries";
    /// Threads that run SQL, at low priority beside those of dashboards and ingest; 0 for one a core [default: 0]
    query_threads_max: usize = 0, "SPENDLAKE_QUERY_THREADS_MAX", "Queries";
    /// Disk that spilling SQL may use, bytes [default: 10737418240]
    query_spill_bytes_max: u64 = 10 << 30, "SPENDLAKE_QUERY_SPILL_BYTES_MAX", "Queries";

    /// Hours without a request after which a person's session ends [default: 12]
    session_idle_hours: u32 = 12, "SPENDLAKE_SESSION_IDLE_HOURS", "People";
    /// Hours after which a person's session ends, whatever is done in it [default: 168]
    session_hours_max: u32 = 168, "SPENDLAKE_SESSION_HOURS_MAX", "People";
    /// Token of 32 or more characters that becomes a super admin's; better set as a variable or a file than as a flag, which other users of the machine see [default: empty]
    init_admin_token: Secret = Secret::default(), "SPENDLAKE_INIT_ADMIN_TOKEN", "First administrator";
    /// File that holds such a token [default: empty]
    init_admin_token_file: PathBuf = PathBuf::new(), "SPENDLAKE_INIT_ADMIN_TOKEN_FILE", "First administrator";
    /// Email of an account that becomes a super admin's [default: empty]
    init_admin_email: String = String::new(), "SPENDLAKE_INIT_ADMIN_EMAIL", "First administrator";
    /// File that holds its password [default: empty]
    init_admin_password_file: PathBuf = PathBuf::new(), "SPENDLAKE_INIT_ADMIN_PASSWORD_FILE", "First administrator";
}

impl Config {
    /// Merges defaults, `file` (or `spendlake.toml` where it exists) and `args`.
    pub fn resolve(file: Option<&Path>, args: &ConfigArgs) -> Result<Self> {
        check_environment(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        figment = match file {
            Some(path) if !path.is_file() => {
                let path = path.display();
                return Err(Error::not_found(format!(
                    "no settings file at {path}; check --config"
                )));
            }
            Some(path) => figment.merge(Toml::file_exact(path)),
            // file_exact takes a missing file for an error.
            None if Path::new("spendlake.toml").is_file() => {
                figment.merge(Toml::file_exact("spendlake.toml"))
            }
            None => figment,
        };
        let mut config: Self = figment
            .merge(Serialized::defaults(args))
            .extract()
            .context(ErrorKind::Invalid, "the settings cannot be used")?;
        // A secret is never written out, so it is not among what was merged.
        if let Some(token) = &args.init_admin_token {
            config.init_admin_token = token.clone();
        }
        config.check()?;
        Ok(config)
    }

    /// Where the PostgreSQL protocol is served; `None` for nowhere.
    pub fn pg_address(&self) -> Result<Option<SocketAddr>> {
        let text = &self.pg_listen;
        let wrong = |_| Error::invalid(format!("pg_listen is {text:?}; use ADDRESS:PORT or empty"));
        (!text.is_empty()).then(|| text.parse().map_err(wrong)).transpose()
    }

    /// Where Arrow Flight SQL is served; `None` where it is not.
    pub fn flight_address(&self) -> Result<Option<SocketAddr>> {
        let text = &self.flight_listen;
        if text.is_empty() {
            return Ok(None);
        }
        let address = text.parse().map_err(|_| {
            Error::invalid(format!(
                "flight_listen is {text:?}; it is an address and a port such as 127.0.0.1:32010, \
                 or empty to serve no Arrow Flight SQL"
            ))
        })?;
        Ok(Some(address))
    }

    /// Rules that a type cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        let ahead = self.event_future_seconds_max;
        if ahead > 86_400 {
            return Err(Error::invalid(format!(
                "event_future_seconds_max is {ahead}; at most 86400 (a day), since copies of older \
                 events are looked for by their day"
            )));
        }
        self.check_ages()?;
        let organization = &self.organization_default;
        if !organization.is_empty() && uuid::Uuid::try_parse(organization).is_err() {
            return Err(Error::invalid(format!(
                "organization_default is {organization:?}; it must be a UUID, or empty for none"
            )));
        }
        self.pg_address()?;
        let (events, daily) = (self.usage_events_retention_days, self.usage_daily_retention_days);
        if daily != 0 && (events == 0 || daily < events) {
            return Err(Error::invalid(format!(
                "usage_daily_retention_days is {daily} and usage_events_retention_days {events}; \
                 the sums are kept at least as long as their events (0 keeps for ever)"
            )));
        }
        self.flight_address()?;
        self.check_access()?;
        let (idle, most) = (self.session_idle_hours, self.session_hours_max);
        if idle == 0 || most < idle || most > SESSION_HOURS_LIMIT {
            return Err(Error::invalid(format!(
                "session_idle_hours is {idle} and session_hours_max {most}; the first is 1 or \
                 more, the second at least the first and at most {SESSION_HOURS_LIMIT} (90 days)"
            )));
        }
        if self.dedup_window_days == 0 {
            return Err(Error::invalid(
                "dedup_window_days is 0; resent events need at least 1 day",
            ));
        }
        Ok(())
    }
}

impl Config {
    /// No age reaches back before the calendar that times are reckoned in.
    fn check_ages(&self) -> Result<()> {
        for (name, days) in [
            ("event_age_days_max", self.event_age_days_max),
            ("dedup_window_days", self.dedup_window_days),
            ("vacuum_retention_hours", self.vacuum_retention_hours.div_ceil(24)),
            ("log_retention_days", self.log_retention_days),
            ("usage_events_retention_days", self.usage_events_retention_days),
            ("usage_daily_retention_days", self.usage_daily_retention_days),
            ("rejected_events_retention_days", self.rejected_events_retention_days),
            ("sightings_retention_days", self.sightings_retention_days),
            ("provider_costs_retention_days", self.provider_costs_retention_days),
        ] {
            if days > AGE_DAYS_LIMIT {
                return Err(Error::invalid(format!(
                    "{name} is {days} days; at most {AGE_DAYS_LIMIT} (a hundred years) are meant"
                )));
            }
        }
        Ok(())
    }

    /// Rules of the settings that decide who gets in.
    fn check_access(&self) -> Result<()> {
        if self.tls_certificate.is_empty() != self.tls_key.is_empty() {
            return Err(Error::invalid(
                "one of tls_certificate and tls_key is set; TLS needs both, plain HTTP neither",
            ));
        }
        if self.insecure_anonymous && !self.listen.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "insecure_anonymous lets everybody do everything, and listen is {}; with it the \
                 server stays on loopback: use 127.0.0.1",
                self.listen
            )));
        }
        if self.insecure_anonymous && self.behind_proxy {
            return Err(Error::invalid(
                "insecure_anonymous and behind_proxy are both set; a proxy brings others than \
                 those on this machine, so give them tokens and leave insecure_anonymous out",
            ));
        }
        Ok(())
    }

    /// Whether browsers reach the server by https, here or at a proxy.
    pub fn serves_https(&self) -> bool {
        !self.tls_certificate.is_empty() || self.behind_proxy
    }
}

/// Refuses `SPENDLAKE_…` variables that no setting reads: a misspelt limit
/// must not be silently without effect.
fn check_environment(names: impl Iterator<Item = String>) -> Result<()> {
    for name in names {
        // SPENDLAKE_BENCH_… and SPENDLAKE_TEST_… steer the benches and tests.
        let foreign = name.starts_with("SPENDLAKE_BENCH_") || name.starts_with("SPENDLAKE_TEST_");
        if name.starts_with("SPENDLAKE_") && !foreign && !ENVIRONMENT.contains(&name.as_str()) {
            let message = format!(
                "environment variable {name} is not a setting; `spendlake serve --help` lists them"
            );
            return Err(Error::invalid(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("spendlake.toml");
        std::fs::write(&file, "flush_rows_max = 7\nhot_rows_max = 8\n").expect("write");
        let args = ConfigArgs { flush_rows_max: Some(9), ..ConfigArgs::default() };
        let config = Config::resolve(Some(&file), &args).expect("settings");
        assert_eq!((config.flush_rows_max, config.hot_rows_max), (9, 8));
        assert_eq!(config.dedup_window_days, 35);
    }

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("spendlake.toml");
        std::fs::write(&file, "init_admin_token = \"from the file\"\n").expect("write");
        let config = Config::resolve(Some(&file), &ConfigArgs::default()).expect("settings");
        assert_eq!(config.init_admin_token.reveal(), "from the file");
        let token = Some(Secret::from("from the flag"));
        let args = ConfigArgs { init_admin_token: token, ..ConfigArgs::default() };
        let config = Config::resolve(Some(&file), &args).expect("settings");
        assert_eq!(config.init_admin_token.reveal(), "from the flag");
        let json = |value: serde_json::Result<String>| value.expect("JSON");
        for shown in [
            format!("{config:?}"),
            format!("{args:?}"),
            json(serde_json::to_string(&config)),
            json(serde_json::to_string(&args)),
        ] {
            assert!(!shown.contains("from the"), "{shown}");
        }
    }

    #[test]
    fn a_session_is_idle_no_longer_than_it_lasts() {
        let with = |session_idle_hours, session_hours_max| {
            Config { session_idle_hours, session_hours_max, ..Config::default() }.check()
        };
        assert!(with(1, 1).is_ok() && with(12, 90 * 24).is_ok());
        assert!(with(0, 1).is_err() && with(2, 1).is_err() && with(1, 90 * 24 + 1).is_err());
    }

    #[test]
    fn an_age_beyond_a_hundred_years_is_refused_by_name() {
        let age = |days| Config { event_age_days_max: days, ..Config::default() }.check();
        assert!(age(0).is_ok() && age(36_525).is_ok());
        let error = age(4_000_000_000).expect_err("refused").to_string();
        assert!(error.contains("event_age_days_max is 4000000000 days; at most 36525"), "{error}");
        let hours = |hours| Config { vacuum_retention_hours: hours, ..Config::default() }.check();
        assert!(hours(168).is_ok() && hours(u32::MAX).is_err());
    }

    #[test]
    fn an_organization_default_must_be_a_uuid() {
        let with = |id: &str| Config { organization_default: id.to_owned(), ..Config::default() };
        assert!(with("").check().is_ok());
        assert!(with("0190a3c2-7b1e-7c00-8000-000000000001").check().is_ok());
        let error = with("acme").check().expect_err("refused");
        assert!(error.to_string().contains("\"acme\"; it must be a UUID"), "{error}");
    }

    #[test]
    fn access_settings_that_contradict_one_another_are_refused() {
        let said = |config: Config| config.check().expect_err("refused").to_string();
        let half = Config { tls_key: "key.pem".to_owned(), ..Config::default() };
        assert!(said(half).contains("TLS needs both"));
        let anonymous = Config { insecure_anonymous: true, ..Config::default() };
        assert!(anonymous.check().is_ok());
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 8787));
        assert!(said(Config { listen: everywhere, ..anonymous.clone() }).contains("loopback"));
        assert!(said(Config { behind_proxy: true, ..anonymous }).contains("behind_proxy"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("spendlake.toml");
        std::fs::write(&file, "flush_row_max = 7\n").expect("write");
        let error = Config::resolve(Some(&file), &ConfigArgs::default()).expect_err("refused");
        assert!(error.full_message().contains("flush_row_max"), "{}", error.full_message());
        let error = check_environment(["SPENDLAKE_FLUSH_ROW_MAX".to_owned()].into_iter());
        assert!(error.is_err());
    }
}
