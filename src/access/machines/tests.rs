use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;
use crate::access::oidc::Oidc;
use crate::access::permission::{Permission, Permissions};
use crate::access::randomness::{Randomness, SystemRandomness};
use crate::access::test_issuer::{TestIssuer, TestKey};

const MAPPINGS: &str = "[[mapping]]\nclaim = \"roles\"\nvalue = \"reader\"\nrole = \"analyst\"\n\
                        over = \"organization\"\norganization_id = \"o\"\n";

fn verifier(issuer: &TestIssuer) -> Arc<dyn JwtVerifier> {
    let clock: Arc<dyn Clock> = issuer.clock.clone();
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    let oidc = Oidc::open(&issuer.config(MAPPINGS), &clock, &randomness);
    oidc.expect("settings").expect("a provider").jwt_verifier().expect("machines")
}

fn changed(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

async fn refused(issuer: &TestIssuer, token: &str) -> Error {
    verifier(issuer).verify(token).await.expect_err("refused")
}

#[tokio::test]
async fn a_machine_is_its_issuer_and_subject_with_what_its_claims_map_to() {
    let issuer = TestIssuer::start().await;
    let token = TestKey::shared().sign(&issuer.machine());
    let principal = verifier(&issuer).verify(&token).await.expect("it holds").principal;
    assert_eq!(principal.id(), format!("{}#reporting-job", issuer.url));
    assert_eq!((principal.name(), principal.origin()), ("reports", Origin::Jwt));
    assert!(
        principal.may_in(Permission::RunSql, "o") && !principal.may_everywhere(Permission::RunSql)
    );
}

#[tokio::test]
async fn scopes_of_a_token_narrow_the_machine() {
    let issuer = TestIssuer::start().await;
    let claims = changed(issuer.machine(), "scope", json!("openid usage:read"));
    let token = TestKey::shared().sign(&claims);
    let principal = verifier(&issuer).verify(&token).await.expect("it holds").principal;
    assert_eq!(principal.scopes(), Permissions::of(&[Permission::ReadUsage]));
}

#[tokio::test]
async fn a_known_token_is_refused_to_the_second_when_it_expires() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier(&issuer);
    let token = TestKey::shared().sign(&issuer.machine());
    issuer.clock.advance(TimeDelta::minutes(59));
    verifier.verify(&token).await.expect("it holds");
    issuer.clock.advance(TimeDelta::seconds(60 + LEEWAY_SECONDS - 1));
    verifier.verify(&token).await.expect("within the leeway");
    issuer.clock.advance(TimeDelta::seconds(1));
    let error = verifier.verify(&token).await.expect_err("expired");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.to_string().contains("it expired at 2026-11-24 13:00:00"), "{error}");
}

#[tokio::test]
async fn a_known_token_of_an_old_key_is_refused_after_the_rotation() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier(&issuer);
    let token = TestKey::shared().sign(&issuer.machine());
    verifier.verify(&token).await.expect("it holds");
    issuer.answers().keys = vec![TestKey::other().jwk];
    verifier.verify(&token).await.expect("not read again yet");
    issuer.clock.advance(TimeDelta::seconds(301));
    let error = verifier.verify(&token).await.expect_err("the key is gone");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.to_string().contains("publishes no key first"), "{error}");
    let token = TestKey::other().sign(&issuer.machine());
    verifier.verify(&token).await.expect("the new key's token holds");
}

#[tokio::test]
async fn a_token_of_a_new_key_ends_the_old_ones_at_once() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier(&issuer);
    let old = TestKey::shared().sign(&issuer.machine());
    verifier.verify(&old).await.expect("it holds");
    issuer.answers().keys = vec![TestKey::other().jwk];
    issuer.clock.advance(TimeDelta::seconds(30));
    verifier.verify(&TestKey::other().sign(&issuer.machine())).await.expect("the new one holds");
    assert!(verifier.verify(&old).await.is_err());
}

#[tokio::test]
async fn a_key_that_was_replaced_under_the_same_id_ends_its_tokens() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier(&issuer);
    let token = TestKey::shared().sign(&issuer.machine());
    verifier.verify(&token).await.expect("it holds");
    issuer.answers().keys = vec![changed(TestKey::other().jwk, "kid", json!("first"))];
    issuer.clock.advance(TimeDelta::seconds(301));
    let error = verifier.verify(&token).await.expect_err("another key");
    assert!(error.to_string().contains("its signature does not fit"), "{error}");
}

#[tokio::test]
async fn tokens_hold_while_the_provider_is_down() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier(&issuer);
    let token = TestKey::shared().sign(&issuer.machine());
    verifier.verify(&token).await.expect("it holds");
    issuer.answers().is_down = true;
    issuer.clock.advance(TimeDelta::minutes(30));
    verifier.verify(&token).await.expect("the known token");
    let other = TestKey::shared().sign(&changed(issuer.machine(), "sub", json!("another-job")));
    verifier.verify(&other).await.expect("a new token of a known key");
}

#[tokio::test]
async fn a_provider_that_never_answered_makes_no_token_good_or_bad() {
    let issuer = TestIssuer::start().await;
    issuer.answers().is_down = true;
    let error = refused(&issuer, &TestKey::shared().sign(&issuer.machine())).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_machine_to_which_nothing_is_mapped_has_no_grants_and_is_told_why() {
    let issuer = TestIssuer::start().await;
    let claims = changed(issuer.machine(), "roles", json!(["writer"]));
    let vouched = verifier(&issuer).verify(&TestKey::shared().sign(&claims)).await;
    let vouched = vouched.expect("it holds");
    assert!(vouched.principal.grants().is_empty());
    let why = vouched.without_grants.expect("a reason");
    assert!(why.contains("\"reporting-job\""), "{why}");
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let issuer = TestIssuer::start().await;
    let key = TestKey::shared();
    for (name, value) in [
        ("iss", json!("https://id.example.com")),
        ("aud", json!("other-api")),
        ("aud", json!(null)),
        ("exp", json!(null)),
    ] {
        let error = refused(&issuer, &key.sign(&changed(issuer.machine(), name, value))).await;
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{name}");
    }
}

#[tokio::test]
async fn a_refused_token_is_not_remembered_as_good() {
    let issuer = TestIssuer::start().await;
    let verifier = verifier(&issuer);
    let good = TestKey::shared().sign(&issuer.machine());
    verifier.verify(&good).await.expect("it holds");
    let (message, signature) = good.rsplit_once('.').expect("a signature");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{message}.{other}{}", &signature[1..]);
    for token in [tampered.as_str(), "a.b.c", &good.replace('.', "..")] {
        for _ in 0..2 {
            assert!(verifier.verify(token).await.is_err(), "{token}");
        }
    }
}

#[tokio::test]
async fn a_login_token_of_a_person_opens_no_door_for_machines() {
    let issuer = TestIssuer::start().await;
    let person = changed(issuer.person(), "nonce", json!("n"));
    let error = refused(&issuer, &TestKey::shared().sign(&person)).await;
    assert!(error.to_string().contains("not meant for"), "{error}");
    let for_us = changed(person, "aud", json!(crate::access::test_issuer::AUDIENCE));
    let error = refused(&issuer, &TestKey::shared().sign(&for_us)).await;
    assert!(error.to_string().contains("identity token of a login"), "{error}");
}
