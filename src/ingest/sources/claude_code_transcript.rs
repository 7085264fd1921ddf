//! Lines of Claude Code's transcripts (`~/.claude/projects/**/*.jsonl`): the
//! assistant's messages carry the usage object of the call that wrote them.
//!
//! Everything else on a line (the conversation itself) is passed over unread.
//! `spendlake import` reads transcripts where they lie and sends only what
//! [`TranscriptCall::to_json`] says, so that no text leaves the machine.

use chrono::{DateTime, SecondsFormat, Utc};

use super::object::Object;
use super::tags::Tags;
use super::usage::token_counts;
use super::{not_an_object, set_tokens};
use crate::ingest::field::Field;
use crate::ingest::rejected::{RejectReason, Rejection};
use crate::ingest::wire::WireEvent;

/// What every event of a transcript says of its source.
const SOURCE: &str = "claude-code-transcript";

/// The model of messages that no model wrote.
const SYNTHETIC: &str = "<synthetic>";

/// What every line of a call has; looked for before a line is parsed.
const USAGE_KEY: &str = "\"usage\"";

/// A call of a model, as one line of a transcript tells it. While a message is
/// streamed, several lines tell of the same call.
#[derive(Debug)]
pub struct TranscriptCall {
    /// `message id:request id`, the same on each line of a call.
    pub event_id: String,
    /// Tokens generated when the line was written: the line with most is the
    /// complete one.
    pub output_tokens: i64,
    /// When the line was written.
    pub time: Option<DateTime<Utc>>,
    event: WireEvent<'static>,
    tags: Tags,
}

impl TranscriptCall {
    /// The call that `line` tells of; `None` when it tells of none.
    pub fn read(line: &[u8]) -> Result<Option<Self>, Rejection> {
        let mentions = std::str::from_utf8(line).map_or(true, |text| text.contains(USAGE_KEY));
        if !mentions {
            return Ok(None);
        }
        let entry = Object::parse(line).map_err(|error| not_an_object(line, &error))?;
        let message = entry.object("message");
        let usage = message.object("usage");
        let model = message.id("model");
        let counts = token_counts(&usage)
            .map_err(|rule| Rejection::of_field(RejectReason::InvalidValue, "usage", None, rule))?;
        let (Some(model), Some(tokens)) = (model, counts) else { return Ok(None) };
        if model == SYNTHETIC || tokens.total() == 0 {
            return Ok(None);
        }
        let mut event = WireEvent::empty();
        let event_id = event_id(&entry, &message);
        event.set_text(Field::EventId, &event_id);
        event.set_text(Field::Source, SOURCE);
        event.set_text(Field::Provider, provider_of(&model));
        event.set_text(Field::ModelName, &model);
        set_tokens(&mut event, &tokens);
        for (field, name) in [(Field::ConversationId, "sessionId"), (Field::RequestId, "requestId")]
        {
            if let Some(id) = entry.id(name) {
                event.set_text(field, &id);
            }
        }
        let time = entry.time("timestamp");
        if let Some(time) = time {
            event.set_text(Field::EventTime, &time.to_rfc3339_opts(SecondsFormat::Micros, true));
        }
        // Old versions wrote the cost they computed; 0 is "did not know".
        let cost = entry
            .number("costUSD")
            .filter(|cost| cost.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0'));
        if let Some(cost) = cost {
            event.set(Field::ActualApiCost, cost.to_owned());
        }
        let tags = tags(&entry, &usage);
        Ok(Some(Self { event_id, output_tokens: tokens.output, time, event, tags }))
    }

    /// Gives a field, by its name, a text unless it has a value.
    pub fn set_default(&mut self, field: &str, text: &str) {
        if let Some(field) = Field::parse(field) {
            let quoted = || serde_json::Value::from(text).to_string().into();
            self.event.set_default(field, quoted);
        }
    }

    /// Adds a tag unless there is one of this name.
    pub fn add_tag(&mut self, name: &str, value: &str) {
        self.tags.add(name, value);
    }

    /// The call as one JSON object of our own fields.
    pub fn to_json(mut self) -> String {
        self.tags.set(&mut self.event);
        self.event.to_json()
    }
}

/// What tells a call apart: ccusage's key. A line without a request id (other
/// gateways write such) is told apart by its message, one without both by
/// itself.
fn event_id(entry: &Object<'_>, message: &Object<'_>) -> String {
    let (message, request) = (message.id("id"), entry.id("requestId"));
    match (message, request) {
        (Some(message), Some(request)) => format!("{message}:{request}"),
        (Some(id), None) | (None, Some(id)) => id.into_owned(),
        (None, None) => entry.id("uuid").unwrap_or_default().into_owned(),
    }
}

/// Claude Code names models as the service does that it talks to.
fn provider_of(model: &str) -> &'static str {
    if model.contains("anthropic.") {
        "bedrock"
    } else if model.contains('@') {
        "google_vertex"
    } else {
        "anthropic"
    }
}

fn tags(entry: &Object<'_>, usage: &Object<'_>) -> Tags {
    let mut tags = Tags::default();
    if let Some(folder) = entry.text("cwd") {
        let project = folder.split(['/', '\\']).rfind(|part| !part.is_empty());
        tags.add("project", project.unwrap_or_default());
    }
    if entry.is_true("isSidechain") {
        tags.add("subagent", "true");
    }
    for (name, usual) in [("speed", "standard"), ("service_tier", "standard")] {
        if let Some(value) = usage.id(name).filter(|value| value != usual) {
            tags.add(name, &value);
        }
    }
    tags
}

#[cfg(test)]
mod tests;
