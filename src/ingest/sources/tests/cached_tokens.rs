//! The cached-token table: the same usage, as each source carries it, becomes
//! the same disjoint classes and the cost that the provider's rule gives.
//!
//! `cached_tokens.json` holds a case a line: the provider's usage object, what
//! LiteLLM 1.106.2 makes of it (its own functions were run), and the classes
//! and the cost as worked by hand, in microdollars under `by_hand`.

use serde_json::{Value, json};

use super::super::otlp::tests as otlp;
use super::*;
use crate::model::{Money, TokenCounts, UsageEvent};

/// USD per million tokens, as the providers' price pages say.
const PRICES: &str = "\
provider,model,valid_from,valid_to,input_usd_per_mtok,cache_read_usd_per_mtok,cache_write_usd_per_mtok,cache_write_1h_usd_per_mtok,output_usd_per_mtok,reasoning_usd_per_mtok
anthropic,claude-sonnet-4-5,,,3,0.3,3.75,6,15,
anthropic,claude-haiku-4-5,,,1,0.1,1.25,2,5,
openai,gpt-4o,,,2.5,1.25,,,10,
openai,gpt-5,,,1.25,0.125,,,10,
openai,o4-mini,,,1.1,0.275,,,4.4,
google,gemini-2.5-pro,,,1.25,0.125,,,10,
google,gemini-2.5-flash,,,0.3,0.03,,,2.5,2.5
";

struct Case {
    name: String,
    /// The usage object's shape and, in LiteLLM's words, its provider.
    shape: String,
    provider: &'static str,
    litellm_provider: &'static str,
    model: String,
    usage: Value,
    litellm: Value,
    tokens: TokenCounts,
    cost: Money,
}

fn cases() -> Vec<Case> {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("cached_tokens.json")).expect("cases");
    cases.iter().map(Case::read).collect()
}

impl Case {
    fn read(case: &Value) -> Self {
        let text = |name: &str| case[name].as_str().expect("a text").to_owned();
        let count = |index: usize| case["tokens"][index].as_i64().expect("a count");
        let shape = text("shape");
        let (provider, litellm_provider) = match shape.as_str() {
            "anthropic" => ("anthropic", "anthropic"),
            "gemini" => ("google", "gemini"),
            _ => ("openai", "openai"),
        };
        Self {
            name: format!("{shape}: {}", text("name")),
            shape,
            provider,
            litellm_provider,
            model: text("model"),
            usage: case["usage"].clone(),
            litellm: case["litellm"].clone(),
            tokens: TokenCounts {
                input: count(0),
                cache_read: count(1),
                cache_write: count(2),
                cache_write_1h: count(3),
                output: count(4),
                reasoning: count(5),
            },
            cost: Money::parse(&text("cost")).expect("money").0,
        }
    }

    /// Our own fields, with the classes worked by hand.
    fn native(&self) -> Value {
        let tokens = &self.tokens;
        json!({"event_id": "n1", "event_time": "2026-11-24T09:00:00Z", "provider": self.provider,
            "model": self.model, "input_tokens": tokens.input,
            "cache_read_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write,
            "cache_write_1h_tokens": tokens.cache_write_1h, "output_tokens": tokens.output,
            "reasoning_tokens": tokens.reasoning})
    }

    fn cloud_event(&self) -> Value {
        let mut data = self.native();
        data.as_object_mut().expect("an object").remove("event_id");
        cloud_event(data)
    }

    fn litellm(&self, usage: &Value) -> Value {
        let mut payload = litellm_payload();
        payload["model"] = json!(format!("{}/{}", self.litellm_provider, self.model));
        payload["custom_llm_provider"] = json!(self.litellm_provider);
        payload["metadata"]["usage_object"] = usage.clone();
        // Our price book decides: LiteLLM's own figure would hide the rule.
        payload["response_cost"] = json!(0.0);
        payload
    }

    /// A span of the GenAI conventions, whose input contains what was cached.
    /// They know no one-hour writes.
    fn span(&self) -> Option<Vec<u8>> {
        let tokens = &self.tokens;
        let input = tokens.input + tokens.cache_read + tokens.cache_write;
        let span = json!({"gen_ai.operation.name": "chat", "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.model, "gen_ai.usage.input_tokens": input,
            "gen_ai.usage.cache_read.input_tokens": tokens.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": tokens.cache_write,
            "gen_ai.usage.output_tokens": tokens.output,
            "gen_ai.usage.reasoning.output_tokens": tokens.reasoning});
        (tokens.cache_write_1h == 0).then(|| otlp::span(&span))
    }

    /// What the provider's own tool logs, each counting in its way.
    fn tool_log(&self) -> Vec<u8> {
        let tokens = &self.tokens;
        let record = match self.shape.as_str() {
            "anthropic" => json!({"event.name": "claude_code.api_request", "session.id": "s",
                "model": self.model, "input_tokens": tokens.input,
                "cache_read_tokens": tokens.cache_read,
                "cache_creation_tokens": tokens.cache_write + tokens.cache_write_1h,
                "cache_creation_1h_tokens": tokens.cache_write_1h,
                "output_tokens": tokens.output}),
            "gemini" => json!({"event.name": "gemini_cli.api_response", "session.id": "s",
                "model": self.model, "auth_type": "gemini-api-key",
                "input_token_count": tokens.input + tokens.cache_read,
                "cached_content_token_count": tokens.cache_read, "tool_token_count": 0,
                "output_token_count": tokens.output - tokens.reasoning,
                "thoughts_token_count": tokens.reasoning}),
            _ => json!({"event.name": "codex.sse_event", "event.kind": "response.completed",
                "conversation.id": "c", "model": self.model,
                "input_token_count": tokens.input + tokens.cache_read,
                "cached_token_count": tokens.cache_read, "output_token_count": tokens.output,
                "reasoning_token_count": tokens.reasoning}),
        };
        otlp::log(&json!({"organization.id": "acme"}), &record)
    }

    fn assert_same(&self, source: &str, format: SourceFormat, body: &[u8]) {
        let organization_id = Some(ORGANIZATION);
        let payload = Payload { organization_id, ..Payload::new(format, body) };
        let prepared = prepare_with(PRICES, payload);
        let name = format!("{} by {source}", self.name);
        let [UsageEvent { tokens, actual_api_cost, .. }] = prepared.events.as_slice() else {
            panic!("{name}: {:?}", prepared.lines);
        };
        assert_eq!(tokens, &self.tokens, "{name}");
        assert_eq!(actual_api_cost, &Some(self.cost), "{name}");
    }
}

#[test]
fn every_source_gives_the_classes_and_the_cost_worked_by_hand() {
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    let spans: Vec<_> = cases.iter().filter_map(|case| Some((case, case.span()?))).collect();
    assert!(spans.len() >= 20, "{} spans", spans.len());
    for (case, body) in spans {
        case.assert_same("a span", otlp::JSON_TRACES, &body);
    }
    for case in &cases {
        let bytes = |value: Value| value.to_string().into_bytes();
        case.assert_same("native", SourceFormat::Native, &bytes(case.native()));
        case.assert_same("CloudEvents", SourceFormat::CloudEvents, &bytes(case.cloud_event()));
        case.assert_same("LiteLLM", SourceFormat::LiteLlm, &bytes(case.litellm(&case.litellm)));
        // A provider's object that LiteLLM passes on as it came.
        let body = bytes(case.litellm(&case.usage));
        case.assert_same("LiteLLM, unconverted", SourceFormat::LiteLlm, &body);
        case.assert_same("the tool's log", otlp::JSON_LOGS, &case.tool_log());
        if case.shape == "anthropic" {
            let line = transcript_line(&case.model, &case.usage);
            let body = transcript_json(&line).expect("a call");
            case.assert_same("a transcript", SourceFormat::Native, body.as_bytes());
        }
    }
}

#[test]
fn the_classes_of_each_case_add_up_to_what_the_hand_says() {
    // The table itself is checked: cost in picodollars against its own sum.
    for case in
        serde_json::from_str::<Vec<Value>>(include_str!("cached_tokens.json")).expect("cases")
    {
        let by_hand = case["by_hand"].as_str().expect("a text");
        let micros = by_hand.rsplit("= ").next().expect("a sum");
        let (cost, _) = Money::parse(case["cost"].as_str().expect("a cost")).expect("money");
        let (micros, _) = Money::parse(&format!("{micros}e-6")).expect("money");
        assert_eq!(cost, micros, "{by_hand}");
    }
}
