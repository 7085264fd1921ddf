use super::*;

fn tokens(text: &str) -> Result<Option<TokenCounts>, String> {
    token_counts(&Object::parse(text.as_bytes()).expect("an object"))
}

#[test]
fn a_renamed_anthropic_object_keeps_its_cached_tokens_beside_the_prompt() {
    // What LiteLLM 1.106.2 passes on of {"input_tokens": 100,
    // "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30, …}
    // where it does not convert the answer.
    let renamed = r#"{"completion_tokens":20,"prompt_tokens":100,"total_tokens":120,
        "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30,"cache_creation_tokens":30},
        "cache_read_input_tokens":60,"cache_creation_input_tokens":30,
        "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#;
    let expected = TokenCounts {
        input: 100,
        cache_read: 60,
        cache_write: 10,
        cache_write_1h: 20,
        output: 20,
        reasoning: 0,
    };
    assert_eq!(tokens(renamed), Ok(Some(expected)));
}

#[test]
fn reasoning_beside_the_completion_shows_in_the_total() {
    let beside = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,
        "completion_tokens_details":{"reasoning_tokens":7}}"#;
    let found = tokens(beside).expect("counts").expect("some");
    assert_eq!((found.output, found.reasoning), (12, 7));
    let inside = beside.replace("22", "15").replace("\":5", "\":8");
    let found = tokens(&inside).expect("counts").expect("some");
    assert_eq!((found.output, found.reasoning), (8, 7));
}

#[test]
fn counts_that_contradict_each_other_are_named_and_not_guessed() {
    let rule = tokens(r#"{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":11}}"#);
    assert_eq!(rule, Err("its 11 cached tokens must be a part of its 10 prompt tokens".to_owned()));
    let rule = tokens(
        r#"{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":6}}"#,
    );
    assert!(rule.is_err(), "{rule:?}");
    assert!(tokens(r#"{"input_tokens":-1}"#).is_err());
    assert!(tokens(r#"{"promptTokenCount":"7"}"#).is_err());
}

#[test]
fn an_object_without_counts_says_nothing() {
    assert_eq!(tokens("{}"), Ok(None));
    assert_eq!(tokens(r#"{"characters":7,"input_tokens":null}"#), Ok(None));
}

#[test]
fn deepseek_and_the_split_alone_are_understood() {
    let deepseek = r#"{"prompt_tokens":100,"completion_tokens":1,"prompt_cache_hit_tokens":90,"prompt_cache_miss_tokens":10}"#;
    let found = tokens(deepseek).expect("counts").expect("some");
    assert_eq!((found.input, found.cache_read), (10, 90));
    let split = r#"{"input_tokens":1,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}}"#;
    let found = tokens(split).expect("counts").expect("some");
    assert_eq!((found.cache_write, found.cache_write_1h), (3, 4));
}
