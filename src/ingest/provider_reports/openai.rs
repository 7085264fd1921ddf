//! OpenAI's organization usage and costs.
//!
//! Source: the OpenAPI description of `/v1/organization/usage/completions`
//! and `/v1/organization/costs`. OpenAI counts cached tokens inside
//! `input_tokens`; they are taken out here, since our classes are disjoint.

use super::fields::{Fields, refusal};
use crate::error::Result;
use crate::model::{ProviderCost, TokenClass};

/// One result of the usage endpoint.
pub(super) fn usage(result: &Fields<'_>, line: ProviderCost) -> Result<ProviderCost> {
    check_object(result, "organization.usage.completions.result")?;
    let cached = result.count("input_cached_tokens")?;
    let written = result.count("input_cache_write_tokens")?;
    let batch = result.flag("batch")? == Some(true);
    let tier = result.text("service_tier")?;
    Ok(ProviderCost {
        project_id: result.text("project_id")?,
        model_name: result.text("model")?,
        api_key_id: result.text("api_key_id")?,
        service_tier: if batch { Some("batch".to_owned()) } else { tier },
        requests: result.count("num_model_requests")?,
        tokens: [
            Some(uncached(result, cached, written)?),
            cached.or(Some(0)),
            written.or(Some(0)),
            Some(0),
            Some(result.required_count("output_tokens")?),
        ],
        ..line
    })
}

/// The prompt tokens outside any cache.
fn uncached(result: &Fields<'_>, cached: Option<i64>, written: Option<i64>) -> Result<i64> {
    let input = result.required_count("input_tokens")?;
    if let Some(uncached) = result.count("input_uncached_tokens")? {
        return Ok(uncached);
    }
    let within = cached.unwrap_or(0) + written.unwrap_or(0);
    if within > input {
        return Err(refusal(format!(
            "{}: {within} cached input tokens are more than input_tokens, {input}, which counts \
             them in",
            result.place
        )));
    }
    Ok(input - within)
}

/// One result of the costs endpoint.
pub(super) fn cost(result: &Fields<'_>, line: ProviderCost) -> Result<ProviderCost> {
    check_object(result, "organization.costs.result")?;
    let amount = result.object("amount")?.ok_or_else(|| result.missing("amount"))?;
    let line_item = result.text("line_item")?;
    let (model_name, cost_type, token_class) = match line_item.as_deref().map(model_call) {
        None => (None, None, None),
        Some(Some((model, class))) => (Some(model.to_owned()), Some("tokens"), class),
        Some(None) => (None, Some("other"), None),
    };
    Ok(ProviderCost {
        project_id: result.text("project_id")?,
        model_name,
        api_key_id: result.text("api_key_id")?,
        line_item,
        cost_type: cost_type.map(str::to_owned),
        token_class,
        amount_picos: Some(amount.decimal("value", 12)?),
        currency: Some(amount.currency("currency")?),
        ..line
    })
}

/// Model and token class of a line item such as `gpt-4o-2024-08-06, cached
/// input`; `None` for one that names no tokens, such as `web search tool
/// calls`.
fn model_call(line_item: &str) -> Option<(&str, Option<TokenClass>)> {
    let (model, what) = line_item.rsplit_once(',')?;
    let (model, what) = (model.trim(), what.trim().to_ascii_lowercase());
    let class = match what.as_str() {
        "input" => Some(TokenClass::Input),
        "cached input" | "input, cached" => Some(TokenClass::CacheRead),
        "cache write" | "cache write input" => Some(TokenClass::CacheWrite),
        "output" => Some(TokenClass::Output),
        other if other.ends_with("input") || other.ends_with("output") => None,
        _ => return None,
    };
    (!model.is_empty()).then_some((model, class))
}

/// Tells a costs file that was taken for usage, and the other way round.
fn check_object(result: &Fields<'_>, expected: &str) -> Result<()> {
    match result.text("object")? {
        Some(object) if object != expected => {
            let rule = format!("must be {expected} in this format; choose another --format");
            Err(result.wrong("object", &rule))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_item_of_tokens_names_its_model_and_class() {
        for (item, expected) in [
            ("gpt-4o-2024-08-06, input", Some(("gpt-4o-2024-08-06", Some(TokenClass::Input)))),
            ("o3, cached input", Some(("o3", Some(TokenClass::CacheRead)))),
            ("o3, output", Some(("o3", Some(TokenClass::Output)))),
            ("gpt-4o-audio, audio output", Some(("gpt-4o-audio", None))),
            ("web search tool calls", None),
            ("assistants api, file search", None),
            (", input", None),
        ] {
            assert_eq!(model_call(item), expected, "{item}");
        }
    }
}
