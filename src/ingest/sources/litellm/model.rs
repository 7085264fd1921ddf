//! LiteLLM's names of providers and models → those of the price lists.

use super::Object;

/// LiteLLM's provider, and the one of `data/prices`. Others keep their name.
const PROVIDERS: [(&str, &str); 11] = [
    ("text-completion-openai", "openai"),
    ("azure_text", "azure"),
    ("azure_ai", "azure"),
    ("bedrock_converse", "bedrock"),
    ("bedrock_mantle", "bedrock"),
    ("vertex_ai", "google_vertex"),
    ("vertex_ai_beta", "google_vertex"),
    ("gemini", "google"),
    ("cohere_chat", "cohere"),
    ("text-completion-codestral", "mistral"),
    ("codestral", "mistral"),
];

/// Parts of a model's name that choose LiteLLM's way to the provider and are
/// no part of the provider's name of the model.
const ROUTES: [&str; 5] = ["responses/", "converse/", "converse_like/", "invoke/", "chat/"];

/// What stands where LiteLLM failed before it chose a provider or model.
const UNKNOWN: &str = "unknown";

/// Provider and model of a call.
pub(super) fn provider_and_model(payload: &Object<'_>, error: &Object<'_>) -> (String, String) {
    let full = payload.id("model").unwrap_or_default().into_owned();
    let named = payload.id("custom_llm_provider").or_else(|| error.id("llm_provider"));
    let prefix = full.split_once('/').map(|(prefix, _)| prefix);
    let litellm_name = match (&named, prefix) {
        (Some(name), _) => name.to_string(),
        (None, Some(prefix)) => prefix.to_owned(),
        (None, None) => UNKNOWN.to_owned(),
    };
    let provider = provider_of(&litellm_name);
    // An Azure deployment has a name of its own; the map's key is the model.
    let key = payload.object("model_map_information").id("model_map_key");
    let model = match key {
        Some(key) if provider == "azure" => key.into_owned(),
        _ => full,
    };
    let model = without_prefixes(&model, &litellm_name, &provider);
    let model = if model.is_empty() { UNKNOWN } else { model };
    (provider.clone(), model.to_owned())
}

fn provider_of(litellm_name: &str) -> String {
    // vertex_ai-anthropic_models and its relatives name a family of models.
    let family = litellm_name.split_once('-').filter(|(start, _)| *start == "vertex_ai");
    let name = family.map_or(litellm_name, |(start, _)| start);
    let known = PROVIDERS.iter().find(|(theirs, _)| *theirs == name);
    known.map_or(name, |(_, ours)| ours).to_owned()
}

/// `model` without the provider and route that LiteLLM puts before it. What
/// is left may hold slashes of its own: `openai/gpt-oss-120b` of Groq.
fn without_prefixes<'a>(model: &'a str, litellm_name: &str, provider: &str) -> &'a str {
    let stripped = model.split_once('/').and_then(|(prefix, rest)| {
        (prefix == litellm_name || provider_of(prefix) == provider).then_some(rest)
    });
    let model = stripped.unwrap_or(model);
    ROUTES.iter().find_map(|route| model.strip_prefix(route)).unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> (String, String) {
        let payload = Object::parse(text.as_bytes()).expect("an object");
        provider_and_model(&payload, &Object::default())
    }

    #[test]
    fn names_become_those_of_the_price_list() {
        for (provider, model, ours, name) in [
            ("openai", "openai/gpt-4o", "openai", "gpt-4o"),
            ("openai", "gpt-4o", "openai", "gpt-4o"),
            ("openai", "openai/responses/gpt-5", "openai", "gpt-5"),
            ("gemini", "gemini/gemini-2.5-pro", "google", "gemini-2.5-pro"),
            (
                "vertex_ai",
                "vertex_ai/claude-opus-4-5@20251101",
                "google_vertex",
                "claude-opus-4-5@20251101",
            ),
            ("vertex_ai-anthropic_models", "claude-opus-4-5", "google_vertex", "claude-opus-4-5"),
            ("groq", "groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
            ("perplexity", "anthropic/claude-opus-5", "perplexity", "anthropic/claude-opus-5"),
            (
                "bedrock",
                "bedrock/converse/us.anthropic.claude-x",
                "bedrock",
                "us.anthropic.claude-x",
            ),
            ("fireworks_ai", "fireworks_ai/qwen", "fireworks_ai", "qwen"),
        ] {
            let text = format!(r#"{{"custom_llm_provider":"{provider}","model":"{model}"}}"#);
            assert_eq!(names(&text), (ours.to_owned(), name.to_owned()), "{model}");
        }
    }

    #[test]
    fn an_azure_deployment_is_named_by_its_base_model() {
        let text = r#"{"custom_llm_provider":"azure","model":"azure/our-deployment",
            "model_map_information":{"model_map_key":"azure/gpt-4o"}}"#;
        assert_eq!(names(text), ("azure".to_owned(), "gpt-4o".to_owned()));
    }

    #[test]
    fn a_call_that_failed_before_routing_is_of_no_known_model() {
        assert_eq!(names(r#"{"model":""}"#), (UNKNOWN.to_owned(), UNKNOWN.to_owned()));
    }
}
