//! Writes the calls of a conversation as NDJSON.

use std::io::Write;

use chrono::{DateTime, SecondsFormat};
use rand::Rng;
use rand::rngs::StdRng;

use super::catalog::{Caching, FAILED_PERCENT, Model};
use super::draw::{chance, skewed, uuid_at};
use super::world::{Key, Organization, Team, User};
use crate::model::{Money, TokenCounts};
use crate::pricing::{PriceBook, PriceQuestion};

/// Prompts below this are not worth caching, tokens.
const CACHED_TOKENS_MIN: i64 = 1_024;

/// Providers that cache by themselves do so in blocks of this, tokens.
const CACHE_BLOCK_TOKENS: i64 = 128;

/// Longest context, tokens.
const CONTEXT_TOKENS_MAX: i64 = 180_000;

/// What the calls of a conversation share.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    pub(super) id: String,
    pub(super) organization: &'a Organization,
    pub(super) team: &'a Team,
    pub(super) user: &'a User,
    pub(super) key: &'a Key,
    pub(super) model: &'a Model,
    pub(super) topic: Option<&'static str>,
    pub(super) feature: &'static str,
    /// Whether cache writes are for an hour.
    pub(super) long_cache: bool,
}

/// Writes one call after the other; the context grows with each.
#[derive(Debug)]
pub(super) struct CallWriter<'a> {
    conversation: &'a Conversation<'a>,
    /// The fields that every call has, written once.
    shared: String,
    /// Tokens of the conversation so far, the next call's prompt begins with.
    context: i64,
    first: bool,
}

impl<'a> CallWriter<'a> {
    pub(super) fn new(conversation: &'a Conversation<'a>, random: &mut StdRng) -> Self {
        let Conversation { organization, team, user, key, model, .. } = conversation;
        // None of these texts holds a character that JSON escapes.
        let mut shared = format!(
            "\"source\":\"demo\",\"organization_id\":\"{}\",\"team_id\":\"{}\",\"department\":\"{}\",\
             \"user_id\":\"{}\",\"api_key_id\":\"{}\",\"conversation_id\":\"{}\",\"provider\":\"{}\",\
             \"model_name\":\"{}\",\"tags\":{{\"project\":\"{}\",\"environment\":\"{}\",\
             \"feature\":\"{}\",\"cost_center\":\"{}\"}}",
            organization.id,
            team.id,
            team.department,
            user.id,
            key.id,
            conversation.id,
            model.provider,
            model.name,
            team.project,
            key.environment,
            conversation.feature,
            team.cost_center
        );
        if let Some(topic) = conversation.topic {
            shared.push_str(&format!(",\"topic\":\"{topic}\""));
        }
        let context = skewed(random, 1_900.0, 0.9, 60_000);
        Self { conversation, shared, context, first: true }
    }

    pub(super) fn write_call(&mut self, micros: i64, random: &mut StdRng, output: &mut Vec<u8>) {
        let failed = chance(random, FAILED_PERCENT);
        let tokens = self.tokens(failed, random);
        let model = self.conversation.model;
        let first_token_micros = skewed(random, 600_000.0, 0.5, 20_000_000);
        let duration_ms = (first_token_micros + tokens.output * model.token_micros) / 1_000;
        let time = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        let charged = self.charged_cost(time, &tokens);
        // A Vec takes every write.
        let _ = write!(
            output,
            "{{\"event_id\":\"{}\",\"event_time\":\"{}\",{},\"status\":\"{}\",\"input_tokens\":{},\
             \"cache_read_tokens\":{},\"cache_write_tokens\":{},\"cache_write_1h_tokens\":{},\
             \"output_tokens\":{},\"reasoning_tokens\":{},\"duration_ms\":{duration_ms}",
            uuid_at(micros, random),
            time.to_rfc3339_opts(SecondsFormat::Micros, true),
            self.shared,
            if failed { "failed" } else { "completed" },
            tokens.input,
            tokens.cache_read,
            tokens.cache_write,
            tokens.cache_write_1h,
            tokens.output,
            tokens.reasoning,
        );
        let _ = match charged {
            Some(charged) => {
                output.write_all(format!(",\"charged_cost\":\"{charged}\"}}\n").as_bytes())
            }
            None => output.write_all(b"}\n"),
        };
    }

    /// The tokens of the next call, by what the provider caches.
    fn tokens(&mut self, failed: bool, random: &mut StdRng) -> TokenCounts {
        let known = if self.first { 0 } else { self.context };
        let asked = if self.first { self.context } else { skewed(random, 220.0, 0.9, 12_000) };
        let mut tokens = TokenCounts::default();
        let cached = known >= CACHED_TOKENS_MIN && chance(random, 85.0);
        match self.conversation.model.caching {
            Caching::Written if known + asked >= CACHED_TOKENS_MIN => {
                tokens.cache_read = if cached { known } else { 0 };
                tokens.input = random.random_range(3..20);
                let written = known + asked - tokens.cache_read;
                if self.conversation.long_cache {
                    tokens.cache_write_1h = written;
                } else {
                    tokens.cache_write = written;
                }
            }
            Caching::Automatic if cached => {
                tokens.cache_read = known / CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS;
                tokens.input = known + asked - tokens.cache_read;
            }
            _ => tokens.input = known + asked,
        }
        if !failed {
            tokens.output = skewed(random, 330.0, 1.0, 16_000);
            tokens.reasoning = tokens.output * self.conversation.model.reasoning_percent / 100;
        }
        self.first = false;
        // A conversation that grew too long is summarised.
        self.context = known + asked + tokens.output;
        if self.context > CONTEXT_TOKENS_MAX {
            self.context /= 10;
        }
        tokens
    }

    /// What the organization pays: the list price and its markup, exactly.
    fn charged_cost(&self, time: DateTime<chrono::Utc>, tokens: &TokenCounts) -> Option<Money> {
        let Conversation { organization, model, .. } = self.conversation;
        let question = PriceQuestion::new(model.provider, model.name, time, tokens);
        let price = PriceBook::shipped().price(&question).actual?;
        Money::from_picos(price.picos() * (100 + organization.markup_percent) / 100)
    }
}
