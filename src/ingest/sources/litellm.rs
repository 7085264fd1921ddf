//! LiteLLM's `StandardLoggingPayload`, as its `generic_api` callback posts it:
//! an array, one object a line, or a single object. `docs/sources/litellm.md`
//! says which field becomes which column.
//!
//! Messages, responses, headers, error texts and the copied price table are
//! passed over unread. Fields that nobody here knows are, too: the format is
//! somebody else's, and grows.

mod cost;
mod model;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};

use self::cost::Cost;
use super::answer_id::is_unique;
use super::object::Object;
use super::tags::Tags;
use super::usage::token_counts;
use super::{Draft, not_an_object, set_tokens};
use crate::ingest::field::Field;
use crate::ingest::lines::split_lines;
use crate::ingest::prepare::IntakeLimits;
use crate::ingest::rejected::{RejectReason, Rejection};
use crate::ingest::wire::WireEvent;
use crate::model::TokenCounts;

/// What every event of this route says of its source.
const SOURCE: &str = "litellm";

/// What LiteLLM calls the user of its own master key.
const DEFAULT_USER: &str = "default_user_id";

/// Headers under which providers name a request, as LiteLLM passes them on.
const REQUEST_ID_HEADERS: [&str; 6] = [
    "llm_provider-request-id",
    "llm_provider-x-request-id",
    "llm_provider-x-amzn-requestid",
    "llm_provider-apim-request-id",
    "llm_provider-x-ms-request-id",
    "llm_provider-x-goog-request-id",
];

/// The drafts of a body. No limit holds for one line: a line carries its whole
/// conversation, and is bounded by the body.
pub(super) fn drafts<'a>(body: &'a [u8], limits: &IntakeLimits) -> Vec<Draft<'a>> {
    let lines = split_lines(body, limits.request_events_max).into_iter();
    lines.map(|line| Draft { number: line.number, event: event(line.text) }).collect()
}

fn event<'a>(text: &'a [u8]) -> Result<WireEvent<'a>, Rejection> {
    let payload = Object::parse(text).map_err(|error| not_an_object(text, &error))?;
    let call = Call {
        metadata: payload.object("metadata"),
        hidden: payload.object("hidden_params"),
        error: payload.object("error_information"),
        payload,
    };
    call.event()
}

/// The parts of one payload.
#[derive(Debug)]
struct Call<'a> {
    payload: Object<'a>,
    metadata: Object<'a>,
    hidden: Object<'a>,
    error: Object<'a>,
}

impl<'a> Call<'a> {
    fn event(&self) -> Result<WireEvent<'a>, Rejection> {
        let mut event = WireEvent::empty();
        let mut tags = self.request_tags();
        let (provider, model) = model::provider_and_model(&self.payload, &self.error);
        event.set_text(Field::Source, SOURCE);
        self.set_identity(&mut event);
        self.set_attribution(&mut event);
        event.set_text(Field::Provider, &provider);
        event.set_text(Field::ModelName, &model);
        event.set_text(Field::Status, if self.failed() { "failed" } else { "completed" });
        self.set_times(&mut event);
        let tokens = self.tokens()?;
        set_tokens(&mut event, &tokens.unwrap_or_default());
        match cost::cost(self, tokens.as_ref(), &provider) {
            Cost::Reported(literal) => event.set(Field::ActualApiCost, literal),
            Cost::ByPriceBook => {}
            Cost::Unknown => {
                event.usage_unknown = true;
                tags.add("usage", "unknown");
            }
        }
        tags.set(&mut event);
        Ok(event)
    }

    fn failed(&self) -> bool {
        self.payload.text("status").as_deref() == Some("failure")
    }

    /// The call id names the client's request, not LiteLLM's attempt at it: a
    /// failed attempt and the fallback that succeeded share it. So a failure
    /// is told apart by its start. `id` alone is never enough: providers
    /// repeat it, and it may be "None".
    fn set_identity(&self, event: &mut WireEvent<'a>) {
        let start = || self.start_or_end().map(|time| time.timestamp_micros());
        let call_id = self.payload.id("litellm_call_id");
        let id = match call_id {
            Some(id) if !self.failed() => Some(id.into_owned()),
            Some(id) => Some(format!("{id}:failed:{}", start().unwrap_or_default())),
            None => {
                let other = self.payload.id("id").or_else(|| self.payload.id("trace_id"));
                other.zip(start()).map(|(id, start)| format!("{id}:{start}"))
            }
        };
        if let Some(id) = id {
            event.set_text(Field::EventId, &id);
        }
        if let Some(id) = self.request_id() {
            event.set_text(Field::RequestId, &id);
        }
    }

    /// The provider's name of the request: of its headers, else of its answer.
    fn request_id(&self) -> Option<Cow<'a, str>> {
        let headers = self.hidden.object("additional_headers");
        let of_headers = REQUEST_ID_HEADERS.iter().find_map(|name| headers.id(name));
        let of_error = || self.error.id("error_provider_request_id");
        let of_answer = || self.payload.id("id").filter(|id| is_provider_id(id));
        of_headers.or_else(of_error).or_else(of_answer)
    }

    fn set_attribution(&self, event: &mut WireEvent<'a>) {
        let metadata = &self.metadata;
        let user = metadata.id("user_api_key_user_id").filter(|user| user != DEFAULT_USER);
        let end_user = || {
            let named = metadata.id("user_api_key_end_user_id");
            named.or_else(|| self.payload.id("end_user"))
        };
        let ids = [
            (Field::UserId, user.or_else(end_user)),
            (Field::TeamId, metadata.id("user_api_key_team_id").or_else(|| metadata.id("team_id"))),
            (Field::ApiKeyId, metadata.id("user_api_key_hash")),
            (Field::ConversationId, self.conversation_id()),
        ];
        for (field, id) in ids {
            if let Some(id) = id {
                event.set_text(field, &id);
            }
        }
        if let Some(name) = metadata.id("user_api_key_org_id") {
            event.set_text(Field::OrganizationId, &super::organization_id_of(&name));
        }
    }

    /// The session that the client named. LiteLLM puts an invented UUID into
    /// `trace_id` where the client named none: that one groups nothing.
    fn conversation_id(&self) -> Option<Cow<'a, str>> {
        let requester = self.metadata.object("requester_metadata");
        let named = self.payload.id("session_id").or_else(|| requester.id("session_id"));
        named.or_else(|| {
            let trace = self.payload.id("trace_id")?;
            let asked_for = requester.id("trace_id").as_deref() == Some(&*trace);
            (asked_for || uuid::Uuid::try_parse(&trace).is_err()).then_some(trace)
        })
    }

    fn start_or_end(&self) -> Option<DateTime<Utc>> {
        self.payload.time("startTime").or_else(|| self.payload.time("endTime"))
    }

    fn set_times(&self, event: &mut WireEvent<'a>) {
        let (start, end) = (self.payload.time("startTime"), self.payload.time("endTime"));
        if let Some(time) = self.start_or_end() {
            event.set_text(Field::EventTime, &rfc3339(time));
        }
        if let (Some(start), Some(end)) = (start, end)
            && end >= start
        {
            event.set(Field::DurationMs, (end - start).num_milliseconds().to_string());
        }
    }

    /// What the call used. `usage_object` is what the provider said;
    /// `prompt_tokens` beside it is LiteLLM's copy. `None` when nothing was
    /// counted: zeros there only mean that there was no answer to read.
    fn tokens(&self) -> Result<Option<TokenCounts>, Rejection> {
        let places = [
            (&self.metadata, "usage_object"),
            (&self.hidden, "usage_object"),
            (&self.payload, "usage"),
        ];
        for (object, name) in places {
            if let Some(tokens) = counted(&object.object(name), name)? {
                return Ok(Some(tokens));
            }
        }
        counted(&self.payload, "prompt_tokens")
    }

    fn request_tags(&self) -> Tags {
        let mut tags = Tags::default();
        let named = [
            ("model_group", self.payload.id("model_group")),
            ("call_type", self.payload.id("call_type")),
            ("end_user", self.payload.id("end_user")),
            ("project", self.metadata.id("user_api_key_project_id")),
        ];
        for literal in self.payload.array("request_tags") {
            let Some(tag) = crate::ingest::validate::string_content(literal) else { continue };
            match tag.split_once(':') {
                // LiteLLM adds the client's name, then name and version: the
                // first, without a version, is the useful dimension.
                Some(("User-Agent", client)) => tags.add("user_agent", client.trim()),
                Some((name, value)) => tags.add(name.trim(), value.trim()),
                None => tags.add(tag.trim(), "true"),
            }
        }
        for (name, value) in named {
            if let Some(value) = value {
                tags.add(name, &value);
            }
        }
        if self.payload.is_true("cache_hit") {
            tags.add("cache_hit", "true");
        }
        tags
    }
}

fn counted(usage: &Object<'_>, name: &str) -> Result<Option<TokenCounts>, Rejection> {
    let tokens = token_counts(usage).map_err(|rule| {
        Rejection::of_field(
            RejectReason::InvalidValue,
            name,
            None,
            format!("{rule}; nothing is guessed"),
        )
    })?;
    Ok(tokens.filter(|tokens| tokens.total() > 0))
}

/// Whether an answer's id names a call of the provider. LiteLLM invents
/// `chatcmpl-<UUID>` where the provider sent none, repeats its call id where
/// there was no answer, and marks a hit of its own cache.
fn is_provider_id(id: &str) -> bool {
    let end = id.strip_prefix("chatcmpl-").unwrap_or(id);
    uuid::Uuid::try_parse(end).is_err() && !id.contains("_cache_hit") && is_unique(id)
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
