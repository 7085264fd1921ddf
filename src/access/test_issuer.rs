//! An identity provider for tests: a small server on this machine, with real
//! keys, that publishes and answers what a test tells it to.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::clock::{Clock, ManualClock};
use crate::config::Config;

pub(crate) const CLIENT_ID: &str = "spendlake web";
pub(crate) const CLIENT_SECRET: &str = "s%cret:with/odd&signs";
/// What a code is exchanged for, beside the identity token.
const ACCESS_TOKEN: &str = "opaque-access-token";
pub(crate) const AUDIENCE: &str = "spendlake-api";

/// A private key, and what is published of it.
#[derive(Clone)]
pub(crate) struct TestKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) id: String,
    pub(crate) pem: String,
    pub(crate) jwk: Value,
}

impl TestKey {
    /// A new key for `algorithm`.
    pub(crate) fn new(algorithm: Algorithm, id: &str) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = rcgen::KeyPair::generate_for(kind).expect("a key");
        let pem = pair.serialize_pem();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let raw = pair.public_key_raw();
        let half = raw.len() / 2 + 1;
        let mut jwk = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let curve = if algorithm == Algorithm::ES256 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": part(&raw[1..half]), "y": part(&raw[half..]) })
            }
            Algorithm::EdDSA => json!({ "kty": "OKP", "crv": "Ed25519", "x": part(raw) }),
            _ => {
                let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key");
                let jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).expect("a JWK");
                let mut jwk = serde_json::to_value(jwk).expect("JSON");
                jwk.as_object_mut().expect("an object").remove("alg");
                jwk
            }
        };
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        Self { algorithm, id: id.to_owned(), pem, jwk }
    }

    /// The RSA key that most tests share: making one takes a while.
    pub(crate) fn shared() -> Self {
        static KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::new(Algorithm::RS256, "first"));
        KEY.clone()
    }

    /// Another one.
    pub(crate) fn other() -> Self {
        static KEY: LazyLock<TestKey> = LazyLock::new(|| TestKey::new(Algorithm::RS256, "second"));
        KEY.clone()
    }

    pub(crate) fn encoding(&self) -> EncodingKey {
        let pem = self.pem.as_bytes();
        match self.algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
            _ => EncodingKey::from_rsa_pem(pem),
        }
        .expect("a private key")
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        self.sign_with(&header, claims)
    }

    /// A token with this header.
    pub(crate) fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.encoding()).expect("a token")
    }
}

/// A token whose header and signature are made by hand.
pub(crate) fn raw_token(header: &Value, claims: &Value, sign: impl Fn(&str) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(&message));
    format!("{message}.{signature}")
}

/// What the provider knows of a login that it has approved.
#[derive(Clone)]
struct Approved {
    id_token: String,
    challenge: String,
    redirect_url: String,
}

pub(crate) struct Answers {
    /// What is published as keys.
    pub(crate) keys: Vec<Value>,
    /// What stands in the discovery document instead of what is true.
    pub(crate) discovery: Value,
    /// Answers every request with 503.
    pub(crate) is_down: bool,
    /// How often the keys were read.
    pub(crate) reads: usize,
    /// Instead of the answer to a code.
    pub(crate) token_answer: Option<(StatusCode, Value)>,
    /// What it says of whoever shows the access token.
    pub(crate) userinfo: Value,
    /// Codes that were given out.
    codes: usize,
    approved: HashMap<String, Approved>,
}

/// The provider; it ends with this handle.
pub(crate) struct TestIssuer {
    pub(crate) url: String,
    answers: Arc<Mutex<Answers>>,
    task: tokio::task::AbortHandle,
    pub(crate) clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

type Shared = State<(String, Arc<Mutex<Answers>>)>;

impl TestIssuer {
    /// One that publishes the shared key.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Arc::new(Mutex::new(Answers {
            keys: vec![TestKey::shared().jwk],
            discovery: json!({}),
            is_down: false,
            reads: 0,
            token_answer: None,
            userinfo: json!({}),
            codes: 0,
            approved: HashMap::new(),
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state((url.clone(), Arc::clone(&answers)));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let noon: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().expect("a time");
        let clock = Arc::new(ManualClock::new(noon));
        let folder = tempfile::tempdir().expect("folder");
        Self { url, answers, task: task.abort_handle(), clock, folder }
    }

    /// What it publishes and answers from now on.
    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().expect("the answers")
    }

    /// Settings of a server that knows this provider, with these mappings.
    pub(crate) fn config(&self, mappings: &str) -> Config {
        let file = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).expect("write");
            path
        };
        Config {
            data_dir: self.folder.path().join("data"),
            public_url: "http://127.0.0.1:8787".to_owned(),
            oidc_issuer: self.url.clone(),
            oidc_client_id: CLIENT_ID.to_owned(),
            oidc_client_secret_file: file("secret", &format!("{CLIENT_SECRET}\n")),
            oidc_audience: AUDIENCE.to_owned(),
            oidc_mappings_file: file("mappings.toml", mappings),
            ..Config::default()
        }
    }

    /// Claims of an access token of a machine that hold for an hour.
    pub(crate) fn machine(&self) -> Value {
        let now = self.clock.now();
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "reporting-job", "client_id": "reports",
            "iat": now.timestamp(), "nbf": now.timestamp(),
            "exp": (now + TimeDelta::hours(1)).timestamp(), "roles": ["reader"],
        })
    }

    /// Claims of a person's identity token, but for the nonce.
    pub(crate) fn person(&self) -> Value {
        let now = self.clock.now();
        json!({
            "iss": self.url, "aud": CLIENT_ID, "sub": "248289761001", "name": "Ada Lovelace",
            "email": "ada@example.com", "email_verified": true, "groups": ["finance", "everyone"],
            "iat": now.timestamp(), "exp": (now + TimeDelta::minutes(5)).timestamp(),
        })
    }

    /// What the provider does when the person agrees at `location`: keeps
    /// `id_token` (of the claims and the nonce that it was sent) for a code,
    /// and answers code and state.
    pub(crate) fn approve(
        &self,
        location: &str,
        make_token: impl FnOnce(&str) -> String,
    ) -> (String, String) {
        let url: url::Url = location.parse().expect("a URL");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert!(location.starts_with(&format!("{}/authorize?", self.url)), "{location}");
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["code_challenge_method"], "S256");
        let approved = Approved {
            id_token: make_token(&asked["nonce"]),
            challenge: asked["code_challenge"].clone(),
            redirect_url: asked["redirect_uri"].clone(),
        };
        let mut answers = self.answers();
        answers.codes += 1;
        let code = format!("code-{}", answers.codes);
        answers.approved.insert(code.clone(), approved);
        (code, asked["state"].clone())
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn discovery(State((url, answers)): Shared) -> Response {
    let answers = answers.lock().expect("the answers");
    if answers.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mut document = json!({
        "issuer": url, "jwks_uri": format!("{url}/keys"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
    });
    for (name, value) in answers.discovery.as_object().expect("an object") {
        document[name] = value.clone();
    }
    Json(document).into_response()
}

async fn keys(State((_, answers)): Shared) -> Response {
    let mut answers = answers.lock().expect("the answers");
    answers.reads += 1;
    Json(json!({ "keys": answers.keys })).into_response()
}

/// Takes a code once, from the right client, for the right verifier.
async fn token(State((_, answers)): Shared, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut answers = answers.lock().expect("the answers");
    if let Some((status, answer)) = answers.token_answer.clone() {
        return (status, Json(answer)).into_response();
    }
    let refuse =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if !knows_client(&headers, &form) {
        return refuse("invalid_client");
    }
    let Some(approved) = answers.approved.remove(&form["code"]) else {
        return refuse("invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != approved.challenge || form["redirect_uri"] != approved.redirect_url {
        return refuse("invalid_grant");
    }
    let tokens = json!({ "id_token": approved.id_token, "access_token": ACCESS_TOKEN });
    Json(tokens).into_response()
}

async fn userinfo(State((_, answers)): Shared, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    if shown != Some(&format!("Bearer {ACCESS_TOKEN}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(answers.lock().expect("the answers").userinfo.clone()).into_response()
}

fn knows_client(headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
    let Some(basic) = headers.get(header::AUTHORIZATION) else {
        return form.get("client_id").is_some_and(|id| id == CLIENT_ID)
            && form.get("client_secret").is_none_or(|secret| secret == CLIENT_SECRET);
    };
    let encoded = basic.to_str().expect("text").strip_prefix("Basic ").expect("Basic");
    let decoded = String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("UTF-8");
    let (name, password) = decoded.split_once(':').expect("a password");
    let plain = |text: &str| {
        let pairs = format!("x={text}");
        let mut pairs = url::form_urlencoded::parse(pairs.as_bytes());
        pairs.next().expect("a pair").1.into_owned()
    };
    plain(name) == CLIENT_ID && plain(password) == CLIENT_SECRET
}
