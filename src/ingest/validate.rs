//! From the literals of one event to a valid event, or the first rule it breaks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::field::Field;
use super::prepare::IntakeLimits;
use super::rejected::{RejectReason, Rejection};
use super::wire::WireEvent;
use crate::model::{DecimalError, Money, Status, TokenCounts};

/// Longest identifier, name or tag value, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 256;
/// Longest tag name, in characters.
pub(super) const TAG_NAME_CHARS_MAX: usize = 64;
/// Most tags of one event.
pub(super) const TAGS_MAX: usize = 32;
/// Most tokens of one class in one call: far above any context window, and low
/// enough that sums of a billion events fit 64 bits.
const TOKENS_MAX: i64 = 1_000_000_000;
/// Longest call: a week, in milliseconds.
const DURATION_MS_MAX: i64 = 7 * 24 * 3600 * 1000;
/// What an event that names no source is recorded under.
const SOURCE_DEFAULT: &str = "api";

/// The sender's part of an event, each value checked.
#[derive(Debug)]
pub(super) struct ValidEvent {
    pub(super) event_id: String,
    pub(super) source: String,
    pub(super) event_time: DateTime<Utc>,
    pub(super) organization_id: String,
    pub(super) team_id: Option<String>,
    pub(super) department: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) api_key_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) provider: String,
    pub(super) model_name: String,
    pub(super) status: Status,
    pub(super) topic: Option<String>,
    pub(super) tokens: TokenCounts,
    pub(super) actual_api_cost: Option<Money>,
    pub(super) charged_cost: Option<Money>,
    pub(super) duration_ms: Option<i64>,
    pub(super) tags: BTreeMap<String, String>,
    /// Whether a cost had more than twelve digits after the point.
    pub(super) rounded: bool,
    /// See [`WireEvent::usage_unknown`].
    pub(super) usage_unknown: bool,
}

type Checked<T> = Result<T, Rejection>;

/// Checks every field of `wire`; the first broken rule is the answer.
pub(super) fn validate(
    wire: &WireEvent<'_>,
    now: DateTime<Utc>,
    limits: &IntakeLimits,
) -> Checked<ValidEvent> {
    check_names(wire)?;
    let (actual_api_cost, actual_rounded) = money(wire, Field::ActualApiCost)?;
    let (charged_cost, charged_rounded) = money(wire, Field::ChargedCost)?;
    Ok(ValidEvent {
        event_id: required_text(wire, Field::EventId)?,
        source: text(wire, Field::Source)?.unwrap_or_else(|| SOURCE_DEFAULT.to_owned()),
        event_time: event_time(wire, now, limits)?,
        organization_id: organization_id(wire)?,
        team_id: text(wire, Field::TeamId)?,
        department: text(wire, Field::Department)?,
        user_id: text(wire, Field::UserId)?,
        api_key_id: text(wire, Field::ApiKeyId)?,
        conversation_id: text(wire, Field::ConversationId)?,
        request_id: text(wire, Field::RequestId)?,
        provider: required_text(wire, Field::Provider)?,
        model_name: required_text(wire, Field::ModelName)?,
        status: status(wire)?,
        topic: text(wire, Field::Topic)?,
        tokens: tokens(wire)?,
        actual_api_cost,
        charged_cost,
        duration_ms: whole_number(wire, Field::DurationMs, DURATION_MS_MAX)?,
        tags: tags(wire)?,
        rounded: actual_rounded || charged_rounded,
        usage_unknown: wire.usage_unknown,
    })
}

fn check_names(wire: &WireEvent<'_>) -> Checked<()> {
    if let Some(name) = &wire.unknown {
        let hint = Field::nearest(name)
            .map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
        let rule = format!("no such field{hint} (free dimensions go under tags)");
        return Err(Rejection::of_field(RejectReason::UnknownField, name, None, rule));
    }
    if let Some(field) = wire.repeated {
        let rule = "stands twice (an alias counts too); send it once";
        return Err(Rejection::of_field(RejectReason::RepeatedField, field.name(), None, rule));
    }
    Ok(())
}

fn invalid(field: Field, value: &str, rule: impl Into<String>) -> Rejection {
    Rejection::of_field(RejectReason::InvalidValue, field.name(), shown(field, value), rule)
}

/// What a message shows of a wrong value: no free text and nothing nested,
/// since prompt text could hide there and messages are stored.
fn shown(field: Field, value: &str) -> Option<&str> {
    match value.as_bytes().first() {
        _ if matches!(field, Field::Topic | Field::Tags) => None,
        Some(b'{') => Some("a JSON object"),
        Some(b'[') => Some("a JSON array"),
        _ => Some(value),
    }
}

fn out_of_range(field: Field, value: &str, rule: impl Into<String>) -> Rejection {
    Rejection::of_field(RejectReason::OutOfRange, field.name(), Some(value), rule)
}

fn missing(field: Field, rule: &str) -> Rejection {
    Rejection::of_field(RejectReason::MissingField, field.name(), None, rule)
}

/// The content of a JSON string literal, or `None` when it is none.
pub(super) fn string_content(literal: &str) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(literal).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

fn string<'a>(wire: &'a WireEvent<'_>, field: Field) -> Checked<Option<Cow<'a, str>>> {
    let Some(literal) = wire.get(field) else { return Ok(None) };
    string_content(literal)
        .map(Some)
        .ok_or_else(|| invalid(field, literal, "must be a JSON string"))
}

/// An optional identifier or name. Empty counts as an error, since an empty
/// and an absent id would be two different groups that look the same.
fn text(wire: &WireEvent<'_>, field: Field) -> Checked<Option<String>> {
    let Some(value) = string(wire, field)? else { return Ok(None) };
    let literal = wire.get(field).unwrap_or_default();
    check_text(&value).map_err(|rule| invalid(field, literal, rule))?;
    Ok(Some(value.into_owned()))
}

/// The rule that `value` breaks as a name or identifier, if any.
fn check_text(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("must not be empty; leave the field out when unknown".to_owned());
    }
    // Bytes bound characters from above, so most values need no count.
    if value.len() > TEXT_CHARS_MAX && value.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("is longer than {TEXT_CHARS_MAX} characters"));
    }
    if value.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(())
}

fn required_text(wire: &WireEvent<'_>, field: Field) -> Checked<String> {
    text(wire, field)?.ok_or_else(|| missing(field, "is required and must be a non-empty string"))
}

fn organization_id(wire: &WireEvent<'_>) -> Checked<String> {
    let value = required_text(wire, Field::OrganizationId)?;
    let id = uuid::Uuid::try_parse(&value)
        .map_err(|_| invalid(Field::OrganizationId, &value, "must be a UUID"))?;
    Ok(id.hyphenated().to_string())
}

fn status(wire: &WireEvent<'_>) -> Checked<Status> {
    let Some(value) = string(wire, Field::Status)? else { return Ok(Status::default()) };
    Status::parse(&value)
        .ok_or_else(|| invalid(Field::Status, &value, "must be active, completed or failed"))
}

fn event_time(
    wire: &WireEvent<'_>,
    now: DateTime<Utc>,
    limits: &IntakeLimits,
) -> Checked<DateTime<Utc>> {
    const FORM: &str =
        "must be an RFC 3339 time with an offset, such as \"2026-11-24T09:30:00.250Z\"";
    let field = Field::EventTime;
    let value = string(wire, field)?.ok_or_else(|| missing(field, FORM))?;
    let time = DateTime::parse_from_rfc3339(&value).map_err(|_| invalid(field, &value, FORM))?;
    let time = DateTime::from_timestamp_micros(time.timestamp_micros())
        .filter(|time| time.timestamp() >= 0)
        .ok_or_else(|| out_of_range(field, &value, "must not be before 1970"))?;
    let too_far = |rule: String| {
        Rejection::of_field(RejectReason::TimeOutOfRange, field.name(), Some(&value), rule)
    };
    let ahead = limits.event_future_seconds_max;
    if time > now + TimeDelta::seconds(i64::from(ahead)) {
        let rule = format!(
            "is more than {ahead} seconds ahead of the server's clock ({}); check the sender's \
             clock (event_future_seconds_max)",
            now.to_rfc3339()
        );
        return Err(too_far(rule));
    }
    let age = limits.event_age_days_max;
    // An age before the first time that there is refuses nothing.
    let oldest = TimeDelta::try_days(i64::from(age)).and_then(|age| now.checked_sub_signed(age));
    if age > 0 && oldest.is_some_and(|oldest| time < oldest) {
        let rule = format!("is older than the {age} days that are accepted (event_age_days_max)");
        return Err(too_far(rule));
    }
    Ok(time)
}

fn whole_number(wire: &WireEvent<'_>, field: Field, max: i64) -> Checked<Option<i64>> {
    let Some(literal) = wire.get(field) else { return Ok(None) };
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(field, literal, "must be a whole JSON number, without quotes"));
    }
    match literal.parse::<i64>() {
        Ok(value) if value < 0 => Err(out_of_range(field, literal, "must be 0 or more")),
        Ok(value) if value <= max => Ok(Some(value)),
        _ if literal.starts_with('-') => Err(out_of_range(field, literal, "must be 0 or more")),
        _ => Err(out_of_range(field, literal, format!("must be at most {max}"))),
    }
}

fn tokens(wire: &WireEvent<'_>) -> Checked<TokenCounts> {
    let count = |field| whole_number(wire, field, TOKENS_MAX);
    let required = |field| {
        count(field)?.ok_or_else(|| missing(field, "is required; send 0 when there was none"))
    };
    let tokens = TokenCounts {
        input: required(Field::InputTokens)?,
        cache_read: count(Field::CacheReadTokens)?.unwrap_or(0),
        cache_write: count(Field::CacheWriteTokens)?.unwrap_or(0),
        cache_write_1h: count(Field::CacheWrite1hTokens)?.unwrap_or(0),
        output: required(Field::OutputTokens)?,
        reasoning: count(Field::ReasoningTokens)?.unwrap_or(0),
    };
    if tokens.reasoning > tokens.output {
        let rule = format!("must be a part of output_tokens ({})", tokens.output);
        let literal = tokens.reasoning.to_string();
        return Err(out_of_range(Field::ReasoningTokens, &literal, rule));
    }
    Ok(tokens)
}

/// A cost and whether its literal was rounded to twelve digits.
fn money(wire: &WireEvent<'_>, field: Field) -> Checked<(Option<Money>, bool)> {
    const FORM: &str = "must be a decimal number of US dollars, as a JSON number or string";
    let Some(literal) = wire.get(field) else { return Ok((None, false)) };
    let number = match string_content(literal) {
        Some(content) => content,
        None if literal.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            Cow::Borrowed(literal)
        }
        None => return Err(invalid(field, literal, FORM)),
    };
    let too_large = || out_of_range(field, literal, "must be below 1,000,000 USD for one event");
    let (cost, rounded) = Money::parse(&number).map_err(|error| match error {
        DecimalError::NotANumber => invalid(field, literal, FORM),
        DecimalError::TooLarge => too_large(),
    })?;
    if cost < Money::ZERO {
        return Err(out_of_range(field, literal, "must be 0 or more; a correction is a void"));
    }
    if cost.picos() > Money::EVENT_PICOS_MAX {
        return Err(too_large());
    }
    Ok((Some(cost), rounded))
}

fn tags(wire: &WireEvent<'_>) -> Checked<BTreeMap<String, String>> {
    let Some(literal) = wire.get(Field::Tags) else { return Ok(BTreeMap::new()) };
    let rejected =
        |rule: String| Rejection::of_field(RejectReason::InvalidValue, "tags", None, rule);
    let pairs: Pairs = serde_json::from_str(literal).map_err(|_| {
        rejected("must be a JSON object of strings, such as {\"project\":\"x\"}".into())
    })?;
    if pairs.0.len() > TAGS_MAX {
        return Err(rejected(format!(
            "has {} entries; at most {TAGS_MAX} are kept",
            pairs.0.len()
        )));
    }
    let mut tags = BTreeMap::new();
    for (name, value) in pairs.0 {
        if name.is_empty() || name.chars().count() > TAG_NAME_CHARS_MAX {
            return Err(rejected(format!("each name needs 1 to {TAG_NAME_CHARS_MAX} characters")));
        }
        if name.chars().any(char::is_control) {
            return Err(rejected("a name must not hold control characters".into()));
        }
        check_text(&value).map_err(|rule| rejected(format!("the value of {name:?} {rule}")))?;
        if tags.insert(name.clone(), value).is_some() {
            return Err(rejected(format!("{name:?} stands twice")));
        }
    }
    Ok(tags)
}

/// A JSON object of strings that keeps repeated names.
struct Pairs(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> serde::de::Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}
