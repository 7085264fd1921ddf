use serde_json::json;

use super::*;
use crate::access::test_issuer::{TestKey, raw_token};

fn key_of(keys: &[Value], header: Value) -> Option<KeyPrint> {
    let keys = KeySet::parse(json!({ "keys": keys })).expect("keys");
    let text = raw_token(&header, &json!({}), |_| vec![0]);
    let token = UnverifiedToken::parse(&text).expect("a token");
    keys.key_for(&token).map(PublicKey::print)
}

fn print(jwk: &Value) -> Option<KeyPrint> {
    PublicKey::parse(jwk.clone()).map(|key| key.print())
}

fn changed(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn a_key_is_chosen_by_id_and_type() {
    let rsa = TestKey::shared().jwk;
    let other = TestKey::other().jwk;
    let curve = TestKey::new(Algorithm::ES256, "curve").jwk;
    // Ids may repeat between types (RFC 7517, 4.5).
    let same = changed(&curve, "kid", json!("first"));
    let keys = [same.clone(), rsa.clone(), other.clone(), curve.clone()];
    let key = |algorithm: &str, id: &str| key_of(&keys, json!({ "alg": algorithm, "kid": id }));
    assert_eq!(key("RS256", "first"), print(&rsa));
    assert_eq!(key("PS512", "second"), print(&other));
    assert_eq!(key("ES256", "first"), print(&same));
    assert_eq!(key("ES256", "curve"), print(&curve));
    assert_ne!(print(&same), print(&curve));
}

#[test]
fn a_key_of_another_type_is_none_whatever_its_id() {
    let curve = TestKey::new(Algorithm::ES384, "curve").jwk;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let header = json!({ "alg": algorithm, "kid": "curve" });
        assert_eq!(key_of(std::slice::from_ref(&curve), header), None, "{algorithm}");
    }
    let edwards = TestKey::new(Algorithm::EdDSA, "ed").jwk;
    assert_eq!(key_of(&[edwards], json!({ "alg": "ES256", "kid": "ed" })), None);
}

#[test]
fn a_token_without_a_key_id_gets_the_only_key_or_none() {
    let (first, second) = (TestKey::shared().jwk, TestKey::other().jwk);
    let curve = TestKey::new(Algorithm::ES256, "curve").jwk;
    let header = json!({ "alg": "RS256" });
    assert_eq!(key_of(&[curve.clone(), first.clone()], header.clone()), print(&first));
    assert_eq!(key_of(&[first, second], header.clone()), None);
    assert_eq!(key_of(&[curve], header), None);
}

#[test]
fn a_key_for_another_use_or_algorithm_checks_nothing() {
    let jwk = TestKey::shared().jwk;
    let header = json!({ "alg": "RS256", "kid": "first" });
    let chosen = |jwk: Value| key_of(&[jwk], header.clone()).is_some();
    assert!(chosen(jwk.clone()));
    assert!(chosen(changed(&jwk, "alg", json!("RS256"))));
    assert!(chosen(changed(&jwk, "key_ops", json!(["verify"]))));
    assert!(!chosen(changed(&jwk, "alg", json!("RS512"))));
    assert!(!chosen(changed(&jwk, "alg", json!("RSA-OAEP"))));
    assert!(!chosen(changed(&jwk, "alg", json!("something"))));
    assert!(!chosen(changed(&jwk, "use", json!("enc"))));
    assert!(!chosen(changed(&jwk, "key_ops", json!(["encrypt"]))));
}

#[test]
fn keys_that_are_of_no_use_are_left_out() {
    let keys = [
        json!({ "kty": "oct", "kid": "first", "k": "c2VjcmV0" }),
        json!({ "kty": "EC", "crv": "P-521", "kid": "first", "x": "AA", "y": "AA" }),
        json!({ "kty": "AKP", "kid": "first", "pub": "AA" }),
        json!({ "kid": "first" }),
        json!("first"),
    ];
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        assert_eq!(key_of(&keys, json!({ "alg": algorithm, "kid": "first" })), None);
    }
}

#[test]
fn what_is_no_key_set_or_a_huge_one_is_refused() {
    for document in [json!([]), json!({}), json!({ "keys": {} }), json!("keys")] {
        assert_eq!(KeySet::parse(document).expect_err("refused").kind(), ErrorKind::Unavailable);
    }
    let many = vec![json!({}); KEYS_MAX + 1];
    let error = KeySet::parse(json!({ "keys": many })).expect_err("refused");
    assert!(error.to_string().contains("101 keys; at most 100"), "{error}");
    assert!(KeySet::parse(json!({ "keys": [] })).is_ok(), "every key was removed");
}
