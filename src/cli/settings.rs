//! `spendlake config`.

use clap::Args;
use serde_json::{Map, Value};

use super::{Outcome, Session};
use crate::config::Config;
use crate::error::{Context, Result};

/// Show every setting, its value and where it came from
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    /// Print one JSON object: setting to value and origin
    #[arg(long)]
    json: bool,
}

/// One setting, resolved.
struct Setting {
    name: String,
    value: Value,
    origin: &'static str,
}

impl SettingsArgs {
    pub(super) fn run(self, session: &Session) -> Result<Outcome> {
        let settings = settings(session)?;
        if self.json {
            let object: Map<String, Value> = settings
                .into_iter()
                .map(|one| {
                    (one.name, serde_json::json!({"value": one.value, "origin": one.origin}))
                })
                .collect();
            println!("{}", Value::Object(object));
            return Ok(Outcome::Done);
        }
        // Lines of a settings file, with the origin as a comment.
        for Setting { name, value, origin } in settings {
            println!("{:<50} # {origin}", format!("{name} = {value}"));
        }
        Ok(Outcome::Done)
    }
}

fn settings(session: &Session) -> Result<Vec<Setting>> {
    let flags = object(serde_json::to_value(&session.flags))?;
    let defaults = object(serde_json::to_value(Config::default()))?;
    let resolved = object(serde_json::to_value(&session.config))?;
    let with_origin = |(name, value): (String, Value)| {
        let origin = if flags.contains_key(&name) {
            "flag or environment"
        } else if defaults.get(&name) == Some(&value) {
            "default"
        } else {
            "file"
        };
        let value = if name == "directory_url" { without_password(value) } else { value };
        Setting { name, value, origin }
    };
    Ok(resolved.into_iter().map(with_origin).collect())
}

/// A URL whose password is not for whoever looks over the shoulder.
fn without_password(value: Value) -> Value {
    let Some(mut url) = value.as_str().and_then(|text| url::Url::parse(text).ok()) else {
        return value;
    };
    match url.password().is_some() && url.set_password(Some("…")).is_ok() {
        true => Value::from(url.to_string()),
        false => value,
    }
}

fn object(value: serde_json::Result<Value>) -> Result<Map<String, Value>> {
    match value.internal("reading the settings")? {
        Value::Object(object) => Ok(object),
        _ => Ok(Map::new()),
    }
}
