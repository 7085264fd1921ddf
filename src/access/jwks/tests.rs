use serde_json::json;

use super::*;
use crate::access::test_issuer::{TestIssuer, TestKey};
use crate::error::ErrorKind;

fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}

#[test]
fn the_provider_is_asked_when_something_is_missing_or_old_and_not_too_often() {
    let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().expect("a time");
    let ago = |seconds| Some(now - TimeDelta::seconds(seconds));
    for (held_age, knows, asked_at, is_due) in [
        (None, false, None, true),
        (None, false, ago(4), false),
        (None, false, ago(5), true),
        (Some(minutes(5)), true, ago(300), false),
        (Some(minutes(6)), true, ago(360), true),
        (Some(minutes(6)), true, ago(29), false),
        (Some(minutes(6)), true, ago(30), true),
        (Some(minutes(1)), false, ago(29), false),
        (Some(minutes(1)), false, ago(30), true),
        // The clock was set back.
        (Some(minutes(-60)), true, ago(-3600), true),
    ] {
        let said = due(held_age, knows, asked_at, now);
        assert_eq!(said, is_due, "{held_age:?}, {knows}, {asked_at:?}");
    }
}

fn cache(issuer: &TestIssuer) -> Arc<KeyCache> {
    let provider = Provider::new(&issuer.url).expect("a provider");
    let clock: Arc<dyn Clock> = issuer.clock.clone();
    Arc::new(KeyCache::new(provider, clock))
}

async fn knows(cache: &Arc<KeyCache>, key: &TestKey) -> Result<bool> {
    let text = key.sign(&json!({}));
    let token = UnverifiedToken::parse(&text).expect("a token");
    Ok(cache.key_for(&token).await?.is_some())
}

#[tokio::test]
async fn a_new_key_is_found_after_half_a_minute_at_the_latest() {
    let issuer = TestIssuer::start().await;
    let cache = cache(&issuer);
    let (old, new) = (TestKey::shared(), TestKey::other());
    assert!(knows(&cache, &old).await.expect("keys"));
    issuer.answers().keys = vec![old.jwk.clone(), new.jwk.clone()];
    assert!(!knows(&cache, &new).await.expect("keys"), "it was asked a moment ago");
    issuer.clock.advance(TimeDelta::seconds(30));
    assert!(knows(&cache, &new).await.expect("keys"));
    assert_eq!(issuer.answers().reads, 2);
}

#[tokio::test]
async fn unknown_keys_make_the_provider_be_asked_no_more_than_twice_a_minute() {
    let issuer = TestIssuer::start().await;
    let cache = cache(&issuer);
    for _ in 0..20 {
        assert!(!knows(&cache, &TestKey::other()).await.expect("keys"));
        issuer.clock.advance(TimeDelta::seconds(3));
    }
    assert_eq!(issuer.answers().reads, 2, "at the start, and after 30 s");
}

#[tokio::test]
async fn a_removed_key_is_gone_after_the_next_reading() {
    let issuer = TestIssuer::start().await;
    let cache = cache(&issuer);
    let (old, new) = (TestKey::shared(), TestKey::other());
    assert!(knows(&cache, &old).await.expect("keys"));
    issuer.answers().keys = vec![new.jwk.clone()];
    issuer.clock.advance(AGE_MAX + TimeDelta::seconds(1));
    assert!(!knows(&cache, &old).await.expect("keys"));
    assert!(knows(&cache, &new).await.expect("keys"));
}

#[tokio::test]
async fn old_keys_serve_while_the_provider_is_down_but_not_for_ever() {
    let issuer = TestIssuer::start().await;
    let cache = cache(&issuer);
    let key = TestKey::shared();
    assert!(knows(&cache, &key).await.expect("keys"));
    issuer.answers().is_down = true;
    issuer.clock.advance(TimeDelta::hours(24));
    assert!(knows(&cache, &key).await.expect("keys"), "within a day");
    issuer.clock.advance(TimeDelta::seconds(1));
    let error = knows(&cache, &key).await.expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("has not answered since 2026-11-24"), "{error}");
    issuer.answers().is_down = false;
    issuer.clock.advance(TimeDelta::seconds(30));
    assert!(knows(&cache, &key).await.expect("keys"));
}

#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_asked_again_soon() {
    let issuer = TestIssuer::start().await;
    issuer.answers().is_down = true;
    let cache = cache(&issuer);
    let key = TestKey::shared();
    for _ in 0..2 {
        let error = knows(&cache, &key).await.expect_err("down");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    issuer.answers().is_down = false;
    assert!(knows(&cache, &key).await.is_err(), "it was asked a moment ago");
    issuer.clock.advance(TimeDelta::seconds(5));
    assert!(knows(&cache, &key).await.expect("keys"));
}

#[tokio::test]
async fn a_provider_nobody_answers_for_is_unavailable() {
    let issuer = TestIssuer::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let clock: Arc<dyn Clock> = issuer.clock.clone();
    let cache = Arc::new(KeyCache::new(Provider::new(&url).expect("a provider"), clock));
    let error = knows(&cache, &TestKey::shared()).await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// What the log says of a provider that publishes this.
async fn said_of(discovery: serde_json::Value) -> String {
    let issuer = TestIssuer::start().await;
    issuer.answers().discovery = discovery;
    let provider = Provider::new(&issuer.url).expect("a provider");
    provider.read().await.map(|_| ()).expect_err("refused").full_message()
}

#[tokio::test]
async fn a_provider_that_names_itself_otherwise_is_not_believed() {
    let error = said_of(json!({ "issuer": "https://id.example.com" })).await;
    assert!(error.contains("names itself \"https://id.example.com\""), "{error}");
}

#[tokio::test]
async fn keys_are_read_over_https_or_on_this_machine_only() {
    for address in ["http://id.example.com/keys", "ftp://127.0.0.1/keys", "keys", ""] {
        let error = said_of(json!({ "jwks_uri": address })).await;
        assert!(error.contains("jwks_uri cannot be used"), "{address}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let error = said_of(json!({ "padding": "x".repeat(600 << 10) })).await;
    assert!(error.contains("more than 524288 bytes"), "{error}");
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_keep_the_answer_from_others() {
    let issuer = TestIssuer::start().await;
    let cache = cache(&issuer);
    {
        let asking = cache.published();
        tokio::pin!(asking);
        // Polled once, then dropped: the first caller is gone.
        assert!(futures::poll!(asking.as_mut()).is_pending());
    }
    assert!(knows(&cache, &TestKey::shared()).await.expect("keys"));
    assert_eq!(issuer.answers().reads, 1);
}

#[tokio::test]
async fn many_callers_at_once_ask_the_provider_once() {
    let issuer = TestIssuer::start().await;
    let cache = cache(&issuer);
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { cache.published().await.is_ok() })
        })
        .collect();
    for asked in asking {
        assert!(asked.await.expect("an answer"));
    }
    assert_eq!(issuer.answers().reads, 1);
}
