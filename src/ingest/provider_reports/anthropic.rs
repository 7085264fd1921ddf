//! Anthropic's messages usage report and cost report.
//!
//! Source: the Admin API's reference of `usage_report/messages` and
//! `cost_report`. Token classes are disjoint there already; an amount is a
//! decimal text in **cents**.

use super::fields::Fields;
use crate::error::Result;
use crate::model::{ProviderCost, TokenClass};

/// Digits after the point of an amount in cents that has twelve in dollars.
const CENTS_SCALE: u32 = 10;

/// One result of the usage report.
pub(super) fn usage(result: &Fields<'_>, line: ProviderCost) -> Result<ProviderCost> {
    let written = result.object("cache_creation")?;
    let writes = |name: &str| match &written {
        Some(written) => written.count(name),
        None => Ok(None),
    };
    let web_search_requests = match result.object("server_tool_use")? {
        Some(tools) => tools.count("web_search_requests")?,
        None => None,
    };
    Ok(ProviderCost {
        project_id: result.text("workspace_id")?,
        model_name: result.text("model")?,
        api_key_id: result.text("api_key_id")?,
        service_tier: result.text("service_tier")?,
        context_window: result.text("context_window")?,
        tokens: [
            Some(result.required_count("uncached_input_tokens")?),
            result.count("cache_read_input_tokens")?,
            writes("ephemeral_5m_input_tokens")?,
            writes("ephemeral_1h_input_tokens")?,
            Some(result.required_count("output_tokens")?),
        ],
        web_search_requests,
        ..line
    })
}

/// One result of the cost report.
pub(super) fn cost(result: &Fields<'_>, line: ProviderCost) -> Result<ProviderCost> {
    let token_type = result.text("token_type")?;
    Ok(ProviderCost {
        project_id: result.text("workspace_id")?,
        model_name: result.text("model")?,
        line_item: result.text("description")?,
        cost_type: result.text("cost_type")?,
        token_class: token_type.as_deref().and_then(token_class),
        service_tier: result.text("service_tier")?,
        context_window: result.text("context_window")?,
        amount_picos: Some(result.decimal("amount", CENTS_SCALE)?),
        currency: Some(result.currency("currency")?),
        ..line
    })
}

/// Our class of a `token_type`; one that we do not know has none.
fn token_class(token_type: &str) -> Option<TokenClass> {
    match token_type {
        "uncached_input_tokens" => Some(TokenClass::Input),
        "cache_read_input_tokens" => Some(TokenClass::CacheRead),
        "cache_creation.ephemeral_5m_input_tokens" => Some(TokenClass::CacheWrite),
        "cache_creation.ephemeral_1h_input_tokens" => Some(TokenClass::CacheWrite1h),
        "output_tokens" => Some(TokenClass::Output),
        _ => None,
    }
}
