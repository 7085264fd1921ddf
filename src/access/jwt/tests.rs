use chrono::TimeDelta;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::access::keys::KeySet;
use crate::access::test_issuer::{TestKey, raw_token};

const ISSUER: &str = "https://id.example.com/";
const AUDIENCE: &str = "spendlake-api";

fn now() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn claims() -> Value {
    let seconds = now().timestamp();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "job", "exp": seconds + 300, "iat": seconds })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

/// Judges `token` by the shared key and `at`.
fn judge_at(token: &str, token_use: TokenUse<'_>, at: DateTime<Utc>) -> Result<Claims, TokenFault> {
    let keys = KeySet::parse(json!({ "keys": [TestKey::shared().jwk] })).expect("keys");
    let token = UnverifiedToken::parse(token)?;
    let key = keys.key_for(&token).ok_or_else(|| token.unknown_key())?;
    let expected = Expected { issuer: ISSUER, audience: AUDIENCE, token_use };
    token.verify(key, &expected, at)
}

fn judge(token: &str) -> Result<Claims, TokenFault> {
    judge_at(token, TokenUse::Access, now())
}

fn judge_claims(claims: &Value) -> Result<Claims, TokenFault> {
    judge(&TestKey::shared().sign(claims))
}

fn judge_identity(claims: &Value) -> Result<Claims, TokenFault> {
    let token_use = TokenUse::Identity { nonce: "n-1" };
    judge_at(&TestKey::shared().sign(claims), token_use, now())
}

#[test]
fn a_token_of_the_issuer_for_this_audience_holds() {
    let claims = judge_claims(&claims()).expect("it holds");
    assert_eq!(claims.text("sub"), Some("job"));
}

#[test]
fn every_asymmetric_algorithm_is_taken_with_a_key_of_its_type() {
    for (name, algorithm) in ALGORITHMS {
        let key = TestKey::new(algorithm, "k");
        let keys = KeySet::parse(json!({ "keys": [key.jwk] })).expect("keys");
        let text = key.sign(&claims());
        let token = UnverifiedToken::parse(&text).expect(name);
        let expected = Expected { issuer: ISSUER, audience: AUDIENCE, token_use: TokenUse::Access };
        let key = keys.key_for(&token).expect(name);
        token.verify(key, &expected, now()).expect(name);
    }
}

#[test]
fn alg_none_is_refused_however_it_is_written() {
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": name, "kid": "first", "typ": "JWT" });
        let token = raw_token(&header, &claims(), |_| Vec::new());
        assert_eq!(judge(&token), Err(TokenFault::Algorithm(name.to_owned())));
    }
}

#[test]
fn hs256_signed_with_the_public_key_is_refused() {
    let key = TestKey::shared();
    let modulus = key.jwk["n"].as_str().expect("a modulus");
    for secret in [modulus.as_bytes().to_vec(), key.jwk.to_string().into_bytes()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some(key.id.clone());
            let secret = EncodingKey::from_secret(&secret);
            let token = jsonwebtoken::encode(&header, &claims(), &secret).expect("a token");
            assert!(matches!(judge(&token), Err(TokenFault::Algorithm(_))));
        }
    }
}

#[test]
fn a_token_that_brings_its_own_key_is_refused() {
    let mine = TestKey::other();
    let header = |with: &str, value: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "first" });
        header[with] = value;
        header
    };
    let sign = |message: &str| {
        let key = mine.encoding();
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256);
        URL_SAFE_NO_PAD.decode(signature.expect("a signature")).expect("base64")
    };
    for header in [
        header("jwk", mine.jwk.clone()),
        header("jku", json!("https://evil.example/keys")),
        header("x5u", json!("https://evil.example/chain.pem")),
        header("x5c", json!(["AAAA"])),
    ] {
        assert_eq!(judge(&raw_token(&header, &claims(), sign)), Err(TokenFault::Signature));
    }
}

#[test]
fn a_token_of_another_key_under_this_ones_id_is_refused() {
    let mut key = TestKey::other();
    key.id = TestKey::shared().id;
    assert_eq!(judge(&key.sign(&claims())), Err(TokenFault::Signature));
}

#[test]
fn a_token_whose_claims_were_changed_is_refused() {
    let token = TestKey::shared().sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let other = URL_SAFE_NO_PAD.encode(with("sub", json!("admin")).to_string());
    let token = format!("{}.{other}.{}", parts[0], parts[2]);
    assert_eq!(judge(&token), Err(TokenFault::Signature));
    let bare = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(judge(&bare), Err(TokenFault::Signature));
}

#[test]
fn critical_extensions_are_refused() {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("first".to_owned());
    header.crit = Some(vec!["exp".to_owned()]);
    let token = TestKey::shared().sign_with(&header, &claims());
    assert_eq!(judge(&token), Err(TokenFault::Critical));
}

#[test]
fn a_token_that_was_made_for_something_else_is_refused() {
    let sign = |kind: Option<&str>| {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some("first".to_owned());
        header.typ = kind.map(str::to_owned);
        TestKey::shared().sign_with(&header, &with("nonce", json!("n-1")))
    };
    let identity = TokenUse::Identity { nonce: "n-1" };
    for kind in [Some("JWT"), Some("jwt"), None] {
        assert!(judge_at(&sign(kind), identity, now()).is_ok(), "{kind:?}");
    }
    for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "at+jwt"] {
        assert!(matches!(judge_at(&sign(Some(kind)), identity, now()), Err(TokenFault::Type(..))));
    }
    for kind in ["logout+jwt", "dpop+jwt"] {
        assert!(matches!(judge(&sign(Some(kind))), Err(TokenFault::Type(..))));
    }
}

#[test]
fn a_foreign_issuer_is_refused_to_the_last_slash() {
    for issuer in ["https://evil.example/", "https://id.example.com", "https://id.example.com//"] {
        let fault = judge_claims(&with("iss", json!(issuer)));
        assert_eq!(fault, Err(TokenFault::Issuer(issuer.to_owned())));
    }
    assert_eq!(judge_claims(&without("iss")), Err(TokenFault::Missing("iss")));
    let list = with("iss", json!([ISSUER]));
    assert_eq!(judge_claims(&list), Err(TokenFault::Missing("iss")));
}

#[test]
fn a_foreign_audience_is_refused() {
    let fault = Err(TokenFault::Audience(AUDIENCE.to_owned()));
    assert_eq!(judge_claims(&with("aud", json!("other-api"))), fault);
    assert_eq!(judge_claims(&with("aud", json!(["a", "b"]))), fault);
    assert_eq!(judge_claims(&with("aud", json!([]))), fault);
    assert_eq!(judge_claims(&with("aud", json!("spendlake-api2"))), fault);
    assert!(judge_claims(&with("aud", json!(["a", AUDIENCE]))).is_ok());
}

#[test]
fn a_missing_audience_is_refused() {
    assert_eq!(judge_claims(&without("aud")), Err(TokenFault::Missing("aud")));
    for odd in [json!(null), json!(7), json!([AUDIENCE, 7]), json!({ "0": AUDIENCE })] {
        assert_eq!(judge_claims(&with("aud", odd)), Err(TokenFault::Missing("aud")));
    }
}

#[test]
fn a_missing_or_unreadable_expiry_is_refused() {
    assert_eq!(judge_claims(&without("exp")), Err(TokenFault::Missing("exp")));
    for odd in [json!("2030-01-01"), json!(null), json!(1e300), json!(true)] {
        assert_eq!(judge_claims(&with("exp", odd)), Err(TokenFault::Missing("exp")));
    }
}

#[test]
fn a_token_expires_to_the_second_after_the_leeway() {
    let token = TestKey::shared().sign(&claims());
    let end = now() + TimeDelta::seconds(300 + LEEWAY_SECONDS);
    let at = |time| judge_at(&token, TokenUse::Access, time);
    assert!(at(end - TimeDelta::seconds(1)).is_ok());
    let expired = Err(TokenFault::Expired(now() + TimeDelta::seconds(300)));
    assert_eq!(at(end), expired);
    assert_eq!(at(end + TimeDelta::seconds(1)), expired);
}

#[test]
fn a_token_begins_to_the_second_before_the_leeway() {
    for name in ["nbf", "iat"] {
        let begins = now().timestamp() + LEEWAY_SECONDS;
        assert!(judge_claims(&with(name, json!(begins))).is_ok(), "{name}");
        let fault = judge_claims(&with(name, json!(begins + 1)));
        assert!(matches!(fault, Err(TokenFault::Early(_))), "{name}");
        assert_eq!(judge_claims(&with(name, json!("soon"))), Err(TokenFault::Missing(name)));
    }
}

#[test]
fn a_token_of_nobody_is_refused() {
    assert_eq!(judge_claims(&without("sub")), Err(TokenFault::Missing("sub")));
    assert_eq!(judge_claims(&with("sub", json!(""))), Err(TokenFault::Missing("sub")));
    let long = "x".repeat(256);
    assert_eq!(judge_claims(&with("sub", json!(long))), Err(TokenFault::Missing("sub")));
}

#[test]
fn an_identity_token_opens_no_door_for_machines() {
    let fault = judge_claims(&with("nonce", json!("n-1")));
    assert_eq!(fault, Err(TokenFault::NotForAccess));
}

#[test]
fn an_identity_token_has_the_nonce_of_its_login() {
    assert!(judge_identity(&with("nonce", json!("n-1"))).is_ok());
    for odd in [json!("n-2"), json!(""), json!(null), json!(["n-1"])] {
        assert_eq!(judge_identity(&with("nonce", odd)), Err(TokenFault::Nonce));
    }
    assert_eq!(judge_identity(&claims()), Err(TokenFault::Nonce));
}

#[test]
fn an_identity_token_of_several_audiences_names_us_as_its_party() {
    let with_party = |audience: Value, party: Value| {
        let mut claims = with("nonce", json!("n-1"));
        claims["aud"] = audience;
        claims["azp"] = party;
        judge_identity(&claims)
    };
    let several = json!([AUDIENCE, "other"]);
    assert!(with_party(several.clone(), json!(AUDIENCE)).is_ok());
    assert_eq!(with_party(several, json!("other")), Err(TokenFault::Party));
    assert_eq!(with_party(json!(AUDIENCE), json!("other")), Err(TokenFault::Party));
    let mut claims = with("nonce", json!("n-1"));
    claims["aud"] = json!([AUDIENCE, "other"]);
    assert_eq!(judge_identity(&claims), Err(TokenFault::Party));
}

#[test]
fn what_is_no_token_is_refused() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let long = format!("{}.{}.x", part("{\"alg\":\"RS256\"}"), "a".repeat(TOKEN_BYTES_MAX));
    for text in [
        "",
        "..",
        "a.b",
        "a.b.c",
        "slk_abc",
        &format!("{}.e30.x", part("[]")),
        &format!("{}.e30.x", part("{}")),
        &format!("{}.e30.x", part("{\"alg\":7}")),
        &format!("{}.e30.x", part("{\"alg\":\"RS256\",\"alg\":\"none\"}")),
        &long,
    ] {
        let fault = UnverifiedToken::parse(text).map(|_| ()).expect_err(text);
        assert_eq!(fault, TokenFault::Malformed, "{text}");
    }
    // Four parts: the signature covers the first three, and the payload is none.
    let token = format!("{}.x", TestKey::shared().sign(&claims()));
    assert!(judge(&token).is_err());
}
