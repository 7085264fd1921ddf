//! The settings of one connection: what clients set when they begin, by
//! PostgreSQL's names. None of them changes which rows are seen.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use chrono_tz::Tz;

use super::fault::{Fault, Outcome};

/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 1024;

/// The version that clients are told: one whose catalogs are answered.
pub(super) const SERVER_VERSION: &str = "15.8";

/// What values a setting takes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Nobody changes it.
    Fixed,
    /// Any text.
    Text,
    /// `on` or `off`.
    Switch,
    /// A number within bounds.
    Number(i64, i64),
    /// A time in milliseconds, or with a unit.
    Time,
    /// One of these; compared without case.
    OneOf(&'static [&'static str]),
    /// Output is ISO; the order of input is free.
    DateStyle,
    /// A name of the time zone database.
    Zone,
    /// UTF-8, by any of its names.
    Encoding,
}

/// A setting that clients may name.
#[derive(Debug)]
struct Known {
    name: &'static str,
    default: &'static str,
    kind: Kind,
    /// Whether the client is told each time it changes.
    is_reported: bool,
}

const fn known(name: &'static str, default: &'static str, kind: Kind) -> Known {
    Known { name, default, kind, is_reported: false }
}

const fn reported(name: &'static str, default: &'static str, kind: Kind) -> Known {
    Known { name, default, kind, is_reported: true }
}

const ISOLATION: Kind =
    Kind::OneOf(&["read uncommitted", "read committed", "repeatable read", "serializable"]);
const MESSAGES: Kind = Kind::OneOf(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "info", "notice", "warning",
    "error",
]);

/// Every setting, by its name as clients write it.
static KNOWN: &[Known] = &[
    reported("application_name", "", Kind::Text),
    known("backslash_quote", "safe_encoding", Kind::Text),
    known("bytea_output", "hex", Kind::OneOf(&["hex"])),
    known("check_function_bodies", "on", Kind::Switch),
    reported("client_encoding", "UTF8", Kind::Encoding),
    known("client_min_messages", "notice", MESSAGES),
    reported("DateStyle", "ISO, MDY", Kind::DateStyle),
    known("default_tablespace", "", Kind::OneOf(&[""])),
    known("default_transaction_deferrable", "off", Kind::Switch),
    known("default_transaction_isolation", "repeatable read", ISOLATION),
    reported("default_transaction_read_only", "on", Kind::Switch),
    known("escape_string_warning", "on", Kind::Switch),
    known("extra_float_digits", "1", Kind::Number(-15, 3)),
    known("geqo", "on", Kind::Switch),
    known("idle_in_transaction_session_timeout", "0", Kind::Time),
    known("idle_session_timeout", "0", Kind::Time),
    reported("in_hot_standby", "off", Kind::Fixed),
    reported("integer_datetimes", "on", Kind::Fixed),
    reported("IntervalStyle", "postgres", Kind::OneOf(&["postgres"])),
    reported("is_superuser", "off", Kind::Fixed),
    known("jit", "off", Kind::Switch),
    known("lc_collate", "C", Kind::Fixed),
    known("lc_ctype", "C.UTF-8", Kind::Fixed),
    known("lc_messages", "C", Kind::Text),
    known("lc_monetary", "C", Kind::Text),
    known("lc_numeric", "C", Kind::Text),
    known("lc_time", "C", Kind::Text),
    known("lock_timeout", "0", Kind::Time),
    known("max_identifier_length", "63", Kind::Fixed),
    known("max_index_keys", "32", Kind::Fixed),
    known("password_encryption", "scram-sha-256", Kind::Fixed),
    known("quote_all_identifiers", "off", Kind::Switch),
    known("row_security", "on", Kind::OneOf(&["on"])),
    reported("search_path", "public", Kind::Text),
    reported("server_encoding", "UTF8", Kind::Fixed),
    reported("server_version", SERVER_VERSION, Kind::Fixed),
    known("server_version_num", "150008", Kind::Fixed),
    reported("session_authorization", "", Kind::Fixed),
    known("ssl", "off", Kind::Fixed),
    reported("standard_conforming_strings", "on", Kind::OneOf(&["on"])),
    known("statement_timeout", "0", Kind::Time),
    known("synchronize_seqscans", "on", Kind::Switch),
    known("synchronous_commit", "on", Kind::Text),
    reported("TimeZone", "UTC", Kind::Zone),
    known("transaction_deferrable", "off", Kind::Switch),
    known("transaction_isolation", "repeatable read", ISOLATION),
    known("transaction_read_only", "on", Kind::Switch),
    known("work_mem", "4MB", Kind::Text),
    known("xmloption", "content", Kind::Text),
];

/// The values of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// As the client began: what RESET goes back to.
    startup: BTreeMap<&'static str, String>,
    session: BTreeMap<&'static str, String>,
    /// Until the transaction ends.
    local: BTreeMap<&'static str, String>,
    /// The session's when the transaction began.
    before: Option<BTreeMap<&'static str, String>>,
    zone: Option<Tz>,
}

impl Settings {
    /// Those of a client that logged in as `user`.
    pub(super) fn new(user: &str, is_encrypted: bool) -> Self {
        let mut settings = Self::default();
        settings.startup.insert("session_authorization", user.to_owned());
        settings.startup.insert("ssl", if is_encrypted { "on" } else { "off" }.to_owned());
        settings
    }

    /// Takes a value that came with the start of the connection.
    pub(super) fn set_startup(&mut self, name: &str, value: &str) -> Outcome<()> {
        let known = changeable(name)?;
        let value = known.check(value)?;
        self.startup.insert(known.name, value);
        self.refresh();
        Ok(())
    }

    /// Changes a setting; `None` is its value at the start. Answers what the
    /// client has to be told.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        is_local: bool,
    ) -> Outcome<Vec<(&'static str, String)>> {
        let known = changeable(name)?;
        let value = match value {
            Some(value) => known.check(value)?,
            None => self.startup(known).to_owned(),
        };
        let before = self.reported();
        if is_local {
            self.local.insert(known.name, value);
        } else {
            self.local.remove(known.name);
            self.session.insert(known.name, value);
        }
        Ok(self.changes_since(&before))
    }

    /// Goes back to how the connection began.
    pub(super) fn reset_all(&mut self) -> Vec<(&'static str, String)> {
        let before = self.reported();
        self.session.clear();
        self.local.clear();
        self.changes_since(&before)
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.before = Some(self.session.clone());
    }

    /// A transaction ends; what it set stays only if it was committed.
    pub(super) fn end(&mut self, is_committed: bool) -> Vec<(&'static str, String)> {
        let before = self.reported();
        if let Some(session) = self.before.take().filter(|_| !is_committed) {
            self.session = session;
        }
        self.local.clear();
        self.changes_since(&before)
    }

    /// The value that counts now, under the name as PostgreSQL writes it.
    pub(super) fn get(&self, name: &str) -> Outcome<(&'static str, &str)> {
        let known = find(name)?;
        Ok((known.name, self.value(known)))
    }

    /// Every setting with its value.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().map(|known| (known.name, self.value(known)))
    }

    /// Those that a client is told when it begins.
    pub(super) fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = KNOWN.iter().filter(|known| known.is_reported);
        reported.map(|known| (known.name, self.value(known).to_owned())).collect()
    }

    /// How long a statement may run by the client's own wish.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        let (_, value) = self.get("statement_timeout").ok()?;
        let time = Duration::from_millis(milliseconds(value)?);
        (!time.is_zero()).then_some(time)
    }

    /// In which zone times with a zone are written.
    pub(super) fn zone(&self) -> Tz {
        self.zone.unwrap_or(Tz::UTC)
    }

    fn value(&self, known: &Known) -> &str {
        let set = self.local.get(known.name).or_else(|| self.session.get(known.name));
        set.map_or_else(|| self.startup(known), String::as_str)
    }

    fn startup(&self, known: &Known) -> &str {
        self.startup.get(known.name).map_or(known.default, String::as_str)
    }

    fn changes_since(&mut self, before: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        self.refresh();
        let after = self.reported().into_iter();
        after.zip(before).filter(|(now, then)| now.1 != then.1).map(|(now, _)| now).collect()
    }

    fn refresh(&mut self) {
        self.zone = self.get("TimeZone").ok().and_then(|(_, name)| zone(name));
    }
}

fn find(name: &str) -> Outcome<&'static Known> {
    KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        Fault::new("42704", format!("unrecognized configuration parameter \"{shown}\""))
    })
}

fn changeable(name: &str) -> Outcome<&'static Known> {
    let known = find(name)?;
    if matches!(known.kind, Kind::Fixed) {
        let name = known.name;
        return Err(Fault::new("55P02", format!("parameter \"{name}\" cannot be changed")));
    }
    Ok(known)
}

impl Known {
    /// The value as it is kept.
    fn check(&self, value: &str) -> Outcome<String> {
        let fits = match self.kind {
            Kind::Fixed => None,
            Kind::Text => Some(value.to_owned()),
            Kind::Switch => switch(value).map(str::to_owned),
            Kind::Number(least, most) => {
                let number = value.trim().parse::<i64>().ok();
                number.filter(|number| (least..=most).contains(number)).map(|one| one.to_string())
            }
            Kind::Time => milliseconds(value).map(|_| value.trim().to_owned()),
            Kind::OneOf(values) => {
                let found = values.iter().find(|one| one.eq_ignore_ascii_case(value.trim()));
                // A switch with one position answers to its other names too.
                let found = found.copied().or_else(|| {
                    switch(value)
                        .and_then(|one| values.iter().find(|known| **known == one).copied())
                });
                found.map(str::to_owned)
            }
            Kind::DateStyle => date_style(value),
            Kind::Zone => zone(value).map(|zone| zone.name().to_owned()),
            Kind::Encoding => is_utf8(value).then(|| "UTF8".to_owned()),
        };
        fits.filter(|value| value.len() <= VALUE_BYTES_MAX).ok_or_else(|| {
            let shown: String = value.chars().take(64).collect();
            let name = self.name;
            let hint = match self.kind {
                Kind::Encoding => "; everything here is UTF8",
                Kind::DateStyle => "; dates are written in the ISO style",
                Kind::Zone => "; use a name such as Europe/Berlin, or UTC",
                _ => "",
            };
            Fault::new(
                "22023",
                format!("invalid value for parameter \"{name}\": \"{shown}\"{hint}"),
            )
        })
    }
}

fn switch(value: &str) -> Option<&'static str> {
    match value.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" => Some("on"),
        "off" | "false" | "no" | "0" | "f" => Some("off"),
        _ => None,
    }
}

/// `1500`, `30s`, `5 min`, …
fn milliseconds(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(value.len());
    let number = value[..digits].parse::<u64>().ok()?;
    let factor = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|all| *all <= u64::from(u32::MAX))
}

fn date_style(value: &str) -> Option<String> {
    let mut order = "MDY";
    for word in value.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "iso" => {}
            "mdy" | "us" => order = "MDY",
            "dmy" | "european" | "euro" => order = "DMY",
            "ymd" => order = "YMD",
            _ => return None,
        }
    }
    Some(format!("ISO, {order}"))
}

fn zone(value: &str) -> Option<Tz> {
    let value = value.trim();
    match value.to_ascii_lowercase().as_str() {
        "utc" | "z" | "default" | "localtime" | "local" | "0" => Some(Tz::UTC),
        _ => Tz::from_str(value).ok(),
    }
}

fn is_utf8(value: &str) -> bool {
    // One client sends quotes with it.
    let plain = value.replace(['-', '_', ' ', '\''], "").to_ascii_lowercase();
    // What calls itself ASCII or unknown takes the bytes as they are.
    ["utf8", "unicode", "sqlascii", "auto"].contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("t1", false)
    }

    #[test]
    fn a_value_that_a_client_is_told_of_is_told_when_it_changes() {
        let mut settings = settings();
        let told = settings.set("timezone", Some("Europe/Berlin"), false);
        assert_eq!(told, Ok(vec![("TimeZone", "Europe/Berlin".to_owned())]));
        assert_eq!(settings.zone(), Tz::Europe__Berlin);
        assert_eq!(settings.set("TIMEZONE", Some("Europe/Berlin"), false), Ok(vec![]));
        assert_eq!(settings.set("extra_float_digits", Some("3"), false), Ok(vec![]));
        assert_eq!(settings.reset_all(), [("TimeZone", "UTC".to_owned())]);
    }

    #[test]
    fn what_is_unknown_fixed_or_out_of_range_is_refused() {
        let mut settings = settings();
        let mut code = |name: &str, value: &str| {
            settings.set(name, Some(value), false).expect_err("refused").code
        };
        assert_eq!(code("datafusion.execution.batch_size", "1"), "42704");
        assert_eq!(code("no_such_setting", "1"), "42704");
        assert_eq!(code("server_version", "9"), "55P02");
        assert_eq!(code("session_authorization", "other"), "55P02");
        assert_eq!(code("is_superuser", "on"), "55P02");
        assert_eq!(code("client_encoding", "LATIN1"), "22023");
        assert_eq!(code("datestyle", "German"), "22023");
        assert_eq!(code("timezone", "Nowhere/Land"), "22023");
        assert_eq!(code("statement_timeout", "-1"), "22023");
        assert_eq!(code("extra_float_digits", "4"), "22023");
        assert_eq!(code("standard_conforming_strings", "off"), "22023");
        assert_eq!(code("row_security", "off"), "22023");
        assert_eq!(code("application_name", &"x".repeat(2000)), "22023");
    }

    #[test]
    fn a_rollback_takes_back_what_the_transaction_set() {
        let mut settings = settings();
        settings.begin();
        settings.set("application_name", Some("a"), false).expect("set");
        settings.set("timezone", Some("Asia/Tokyo"), true).expect("set");
        assert_eq!(settings.end(false).len(), 2);
        assert_eq!(settings.get("application_name"), Ok(("application_name", "")));
        settings.begin();
        settings.set("application_name", Some("b"), false).expect("set");
        settings.set("timezone", Some("Asia/Tokyo"), true).expect("set");
        assert_eq!(settings.end(true), [("TimeZone", "UTC".to_owned())]);
        assert_eq!(settings.get("application_name"), Ok(("application_name", "b")));
    }

    #[test]
    fn a_time_has_a_unit_or_is_in_milliseconds() {
        let mut settings = settings();
        assert_eq!(settings.statement_timeout(), None);
        for (text, millis) in [("250", 250), ("2s", 2_000), ("1 min", 60_000)] {
            settings.set("statement_timeout", Some(text), false).expect("set");
            assert_eq!(settings.statement_timeout(), Some(Duration::from_millis(millis)));
        }
    }
}
