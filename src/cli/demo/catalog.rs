//! Which models the sample's people use.

/// What a provider does with a prompt it has seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caching {
    /// The caller marks what to write; writes are billed.
    Written,
    /// The provider caches by itself, in blocks.
    Automatic,
    /// Never.
    Off,
}

/// A model and how it behaves.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) provider: &'static str,
    pub(super) name: &'static str,
    /// How popular it is.
    pub(super) weight: f64,
    pub(super) caching: Caching,
    /// Part of the output that is reasoning, percent.
    pub(super) reasoning_percent: i64,
    /// Time for one token, microseconds.
    pub(super) token_micros: i64,
}

const fn model(
    provider: &'static str,
    name: &'static str,
    weight: f64,
    caching: Caching,
    reasoning_percent: i64,
    token_micros: i64,
) -> Model {
    Model { provider, name, weight, caching, reasoning_percent, token_micros }
}

/// Models that the price list knows.
pub(super) const MODELS: [Model; 14] = [
    model("anthropic", "claude-sonnet-4-5", 22.0, Caching::Written, 0, 14_000),
    model("anthropic", "claude-haiku-4-5", 10.0, Caching::Written, 0, 7_000),
    model("anthropic", "claude-opus-4-5", 7.0, Caching::Written, 0, 21_000),
    model("anthropic", "claude-sonnet-5", 8.0, Caching::Written, 0, 12_000),
    model("openai", "gpt-5.1", 12.0, Caching::Automatic, 45, 13_000),
    model("openai", "gpt-5-mini", 9.0, Caching::Automatic, 30, 8_000),
    model("openai", "gpt-5.1-codex", 7.0, Caching::Automatic, 40, 13_000),
    model("openai", "gpt-4.1", 5.0, Caching::Automatic, 0, 12_000),
    model("openai", "gpt-4o", 5.0, Caching::Automatic, 0, 11_000),
    model("google", "gemini-2.5-pro", 6.0, Caching::Automatic, 35, 12_000),
    model("google", "gemini-2.5-flash", 5.0, Caching::Automatic, 15, 5_000),
    model("mistral", "mistral-large-latest", 2.0, Caching::Off, 0, 16_000),
    model("mistral", "codestral-latest", 1.0, Caching::Off, 0, 9_000),
    model("deepseek", "deepseek-chat", 1.0, Caching::Automatic, 0, 18_000),
];

/// Models that no price list knows.
pub(super) const UNPRICED_MODELS: [Model; 2] = [
    model("openai", "ft:house-style-2026-07", 1.0, Caching::Off, 0, 12_000),
    model("self-hosted", "qwen-coder-house", 1.0, Caching::Off, 0, 20_000),
];

/// Conversations with an unpriced model, percent.
pub(super) const UNPRICED_PERCENT: f64 = 0.5;

/// Calls that fail, percent.
pub(super) const FAILED_PERCENT: f64 = 2.0;

/// Calls of a conversation, on average.
pub(super) const CALLS_MEAN: f64 = 8.0;

/// Longest conversation, calls.
pub(super) const CALLS_MAX: u64 = 200;
