//! Usage objects of the providers → our disjoint token classes.
//!
//! The one question that every provider answers differently: is a cached
//! token inside the prompt's count, or beside it?
//!
//! | shape | told by | cached tokens | reasoning |
//! |---|---|---|---|
//! | Anthropic Messages | `input_tokens` without `…_details` | beside `input_tokens` | inside the output |
//! | OpenAI chat, and LiteLLM | `prompt_tokens` | inside `prompt_tokens` | inside the completion |
//! | OpenAI responses | `input_tokens` with `…_details` or `total_tokens` | inside `input_tokens` | inside the output |
//! | Gemini | `promptTokenCount` | inside the prompt | beside the candidates |
//!
//! Sources: the providers' API references, and for LiteLLM
//! `llms/anthropic/chat/transformation.py` (`calculate_usage`) and
//! `responses/utils.py` of version 1.106.2.

use super::object::Object;
use crate::model::TokenCounts;

/// The classes of a usage object; `None` when it counts nothing that is known
/// here. Counts that contradict each other are an error that says how: a guess
/// would bill cached tokens twice, or not at all.
pub(super) fn token_counts(usage: &Object<'_>) -> Result<Option<TokenCounts>, String> {
    let any = |names: &[&str]| names.iter().any(|name| usage.has(name));
    if any(&["promptTokenCount", "candidatesTokenCount", "prompt_token_count"]) {
        return gemini(usage).map(Some);
    }
    if any(&["prompt_tokens", "completion_tokens"]) {
        return openai_chat(usage).map(Some);
    }
    if !any(&["input_tokens", "output_tokens"]) {
        return Ok(None);
    }
    let cache_fields =
        any(&["cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"]);
    let details = any(&["input_tokens_details", "input_token_details", "total_tokens"]);
    if details && !cache_fields { openai_responses(usage) } else { anthropic(usage) }.map(Some)
}

/// Tokens as a provider counts them when the prompt's count includes what was
/// read from and written to a cache.
#[derive(Debug, Default)]
struct Inclusive {
    prompt: i64,
    cache_read: i64,
    cache_writes: CacheWrites,
    output: i64,
    reasoning: i64,
}

/// All cache writes, and the part of them that is kept for an hour.
#[derive(Debug, Default, Clone, Copy)]
struct CacheWrites {
    total: i64,
    one_hour: i64,
}

impl Inclusive {
    fn disjoint(&self) -> Result<TokenCounts, String> {
        let cached = self.cache_read + self.cache_writes.total;
        if cached > self.prompt {
            return Err(format!(
                "its {cached} cached tokens must be a part of its {} prompt tokens",
                self.prompt
            ));
        }
        self.cache_writes.with(TokenCounts {
            input: self.prompt - cached,
            cache_read: self.cache_read,
            output: self.output,
            reasoning: self.reasoning,
            ..TokenCounts::default()
        })
    }
}

impl CacheWrites {
    /// From the total, where it stands there, and the split by lifetime.
    fn of(total: Option<i64>, split: &Object<'_>) -> Result<Self, String> {
        let one_hour = split.count("ephemeral_1h_input_tokens")?;
        let five_minutes = split.count("ephemeral_5m_input_tokens")?;
        let one_hour = one_hour.unwrap_or(0);
        let total = total.unwrap_or_else(|| one_hour + five_minutes.unwrap_or(0));
        Ok(Self { total, one_hour })
    }

    fn with(self, tokens: TokenCounts) -> Result<TokenCounts, String> {
        let Self { total, one_hour } = self;
        if one_hour > total {
            return Err(format!(
                "its {one_hour} tokens written for an hour must be a part of its {total} cache writes"
            ));
        }
        Ok(TokenCounts { cache_write: total - one_hour, cache_write_1h: one_hour, ..tokens })
    }
}

/// The first of several names that has a count, else 0.
fn first_count(object: &Object<'_>, names: &[&str]) -> Result<i64, String> {
    Ok(optional_count(object, names)?.unwrap_or(0))
}

fn optional_count(object: &Object<'_>, names: &[&str]) -> Result<Option<i64>, String> {
    for name in names {
        if let Some(count) = object.count(name)? {
            return Ok(Some(count));
        }
    }
    Ok(None)
}

/// Anthropic Messages: the classes are disjoint already. Where the server
/// ran several model calls for one message, `iterations` lists them, and the
/// counts beside it are those of the last one only.
fn anthropic(usage: &Object<'_>) -> Result<TokenCounts, String> {
    let iterations = usage.array("iterations");
    if iterations.len() < 2 {
        return anthropic_call(usage);
    }
    let mut sum = TokenCounts::default();
    for iteration in iterations {
        let iteration = Object::parse(iteration.as_bytes())
            .map_err(|_| "each of its iterations must be an object".to_owned())?;
        let tokens = anthropic_call(&iteration)?;
        sum.input += tokens.input;
        sum.cache_read += tokens.cache_read;
        sum.cache_write += tokens.cache_write;
        sum.cache_write_1h += tokens.cache_write_1h;
        sum.output += tokens.output;
        sum.reasoning += tokens.reasoning;
    }
    Ok(sum)
}

fn anthropic_call(usage: &Object<'_>) -> Result<TokenCounts, String> {
    let writes = CacheWrites::of(
        usage.count("cache_creation_input_tokens")?,
        &usage.object("cache_creation"),
    )?;
    let details = usage.object("output_tokens_details");
    writes.with(TokenCounts {
        input: first_count(usage, &["input_tokens"])?,
        cache_read: first_count(usage, &["cache_read_input_tokens"])?,
        output: first_count(usage, &["output_tokens"])?,
        reasoning: first_count(&details, &["reasoning_tokens", "thinking_tokens"])?,
        ..TokenCounts::default()
    })
}

/// OpenAI chat completions, and what LiteLLM makes of every provider: cached
/// tokens are a part of the prompt. Three things differ in the wild:
///
/// - LiteLLM passes an Anthropic usage object that it did not convert with its
///   fields renamed only; the `cache_creation` object that is left there shows
///   it, and its prompt is then without the cached tokens.
/// - xAI counts reasoning beside the completion, which the total shows.
/// - DeepSeek calls cached tokens `prompt_cache_hit_tokens`.
fn openai_chat(usage: &Object<'_>) -> Result<TokenCounts, String> {
    let prompt_details = usage.object("prompt_tokens_details");
    let completion_details = usage.object("completion_tokens_details");
    let prompt = first_count(usage, &["prompt_tokens"])?;
    let completion = first_count(usage, &["completion_tokens"])?;
    let reasoning = first_count(&completion_details, &["reasoning_tokens"])?;
    let renamed = usage.object("cache_creation");
    let is_renamed = usage.has("cache_creation");
    let cache_read = match prompt_details.count("cached_tokens")? {
        Some(count) => count,
        None => first_count(usage, &["cache_read_input_tokens", "prompt_cache_hit_tokens"])?,
    };
    let total_writes = match usage.count("cache_creation_input_tokens")? {
        Some(count) => Some(count),
        None => optional_count(&prompt_details, &["cache_creation_tokens", "cache_write_tokens"])?,
    };
    let split =
        if is_renamed { renamed } else { prompt_details.object("cache_creation_token_details") };
    let cache_writes = CacheWrites::of(total_writes, &split)?;
    let cached = cache_read + cache_writes.total;
    let beside = usage.count("total_tokens")? == Some(prompt + completion + reasoning);
    Inclusive {
        prompt: if is_renamed { prompt + cached } else { prompt },
        cache_read,
        cache_writes,
        output: if beside { completion + reasoning } else { completion },
        reasoning,
    }
    .disjoint()
}

/// OpenAI responses: cached tokens are a part of the input.
fn openai_responses(usage: &Object<'_>) -> Result<TokenCounts, String> {
    let details = |names: [&str; 2]| {
        let name = names.into_iter().find(|name| usage.has(name)).unwrap_or(names[0]);
        usage.object(name)
    };
    let input_details = details(["input_tokens_details", "input_token_details"]);
    let output_details = details(["output_tokens_details", "output_token_details"]);
    Inclusive {
        prompt: first_count(usage, &["input_tokens"])?,
        cache_read: first_count(&input_details, &["cached_tokens"])?,
        cache_writes: CacheWrites {
            total: first_count(&input_details, &["cache_write_tokens"])?,
            one_hour: 0,
        },
        output: first_count(usage, &["output_tokens"])?,
        reasoning: first_count(&output_details, &["reasoning_tokens"])?,
    }
    .disjoint()
}

/// Gemini: cached content is a part of the prompt, tool results are prompt
/// tokens beside it, and thoughts stand beside the candidates, unless the
/// total says that the candidates include them.
fn gemini(usage: &Object<'_>) -> Result<TokenCounts, String> {
    let prompt = first_count(usage, &["promptTokenCount", "prompt_token_count"])?;
    let tools = first_count(usage, &["toolUsePromptTokenCount", "tool_use_prompt_token_count"])?;
    let candidates = first_count(usage, &["candidatesTokenCount", "candidates_token_count"])?;
    let thoughts = first_count(usage, &["thoughtsTokenCount", "thoughts_token_count"])?;
    let total = optional_count(usage, &["totalTokenCount", "total_token_count"])?;
    let inside = total == Some(prompt + tools + candidates);
    Inclusive {
        prompt: prompt + tools,
        cache_read: first_count(usage, &["cachedContentTokenCount", "cached_content_token_count"])?,
        cache_writes: CacheWrites::default(),
        output: if inside { candidates } else { candidates + thoughts },
        reasoning: thoughts,
    }
    .disjoint()
}

#[cfg(test)]
mod tests;
