//! What is asked of an identity provider over HTTP: its discovery document
//! (OpenID Connect Discovery 1.0), its keys, and the exchange of a code for
//! tokens (RFC 6749, 4.1.3). Every answer is bounded in time and size.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::keys::KeySet;
use super::oidc_settings::{PeopleSettings, check_url, is_loopback};
use crate::error::{Context, Error, ErrorKind, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer, bytes.
const ANSWER_BYTES_MAX: usize = 512 << 10;
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// Asks one provider.
#[derive(Debug)]
pub(super) struct Provider {
    http: Client,
    issuer: String,
    /// Whether the provider is on this machine: then its addresses may be
    /// plain http on this machine, and only then.
    loopback: bool,
}

/// What a provider published at one time.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) endpoints: Endpoints,
    pub(super) keys: KeySet,
}

/// The part of a discovery document that is of use here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Endpoints {
    issuer: String,
    jwks_uri: String,
    /// Absent where a provider serves machines only.
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    #[serde(default = "basic_only")]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether each answer to a login names its issuer (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

fn basic_only() -> Vec<String> {
    vec!["client_secret_basic".to_owned()]
}

/// What a code was exchanged for.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    access_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Refusal {
    error: Option<String>,
}

impl Provider {
    pub(super) fn new(issuer: &str) -> Result<Self> {
        let loopback = is_loopback(&check_url("oidc_issuer", issuer)?);
        install_crypto();
        let mut http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("spendlake/", env!("CARGO_PKG_VERSION")))
            // An address that is checked must be the one that answers.
            .redirect(reqwest::redirect::Policy::none());
        if loopback {
            http = http.no_proxy();
        }
        let http = http.build().internal("starting the HTTP client")?;
        Ok(Self { http, issuer: issuer.to_owned(), loopback })
    }

    /// Reads what the provider publishes now. `Unavailable` where it does not
    /// answer, or answers as somebody else.
    pub(super) async fn read(&self) -> Result<Published> {
        let address = format!("{}{DISCOVERY_PATH}", self.issuer.trim_end_matches('/'));
        let document = self.get(&address).await?;
        let doing = || format!("the provider's {address} is no discovery document");
        let endpoints: Endpoints =
            serde_json::from_value(document).context(ErrorKind::Unavailable, doing())?;
        if endpoints.issuer != self.issuer {
            return Err(Error::unavailable(format!(
                "the provider at {address} names itself {:?}; oidc_issuer has to be exactly that, \
                 to the last slash, and is {:?}",
                endpoints.issuer, self.issuer
            )));
        }
        let keys_at = self.checked("jwks_uri", &endpoints.jwks_uri)?;
        let keys = KeySet::parse(self.get(keys_at.as_str()).await?)?;
        Ok(Published { endpoints, keys })
    }

    /// Where a person logs in.
    pub(super) fn authorization_url(&self, endpoints: &Endpoints) -> Result<Url> {
        let url = endpoints.authorization_endpoint.as_deref();
        self.checked("authorization_endpoint", url.unwrap_or_default())
    }

    /// Exchanges the code of a login for its tokens. `Forbidden` where the
    /// provider does not take the code.
    pub(super) async fn exchange(
        &self,
        endpoints: &Endpoints,
        client: &PeopleSettings,
        code: &str,
        code_verifier: &str,
    ) -> Result<Tokens> {
        let url = endpoints.token_endpoint.as_deref().unwrap_or_default();
        let url = self.checked("token_endpoint", url)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", client.redirect_url.as_str()),
            ("code_verifier", code_verifier),
        ];
        let mut request = self.http.post(url).header("accept", "application/json");
        let methods = &endpoints.token_endpoint_auth_methods_supported;
        let takes = |name: &str| methods.iter().any(|method| method == name);
        match &client.client_secret {
            None => form.push(("client_id", &client.client_id)),
            Some(secret) if takes("client_secret_basic") => {
                // RFC 6749, 2.3.1: both are encoded as in a form first.
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let (name, password) = (encode(&client.client_id), encode(secret.reveal()));
                request = request.basic_auth(name, Some(password));
            }
            Some(secret) if takes("client_secret_post") => {
                form.push(("client_id", &client.client_id));
                form.push(("client_secret", secret.reveal()));
            }
            Some(_) => {
                return Err(Error::unavailable(format!(
                    "the provider takes a client's secret by {methods:?} only; this server sends \
                     it by client_secret_basic or client_secret_post"
                )));
            }
        }
        let body: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.map_err(|error| unreachable(&self.issuer, error))?;
        let status = answer.status();
        let document = read_json(&self.issuer, answer).await;
        if status.is_client_error() {
            return Err(refused(status, document.unwrap_or_default()));
        }
        if !status.is_success() {
            return Err(odd_status(&self.issuer, status));
        }
        let doing = "the provider's answer to a code holds no identity token (id_token)";
        serde_json::from_value(document?).context(ErrorKind::Unavailable, doing)
    }

    /// What the provider says of whoever logged in, beside the identity token
    /// (OpenID Connect Core 1.0, section 5.3).
    pub(super) async fn userinfo(
        &self,
        endpoints: &Endpoints,
        tokens: &Tokens,
    ) -> Result<Map<String, Value>> {
        let url = endpoints.userinfo_endpoint.as_deref().unwrap_or_default();
        let url = self.checked("userinfo_endpoint", url)?;
        let token = tokens.access_token.as_deref().unwrap_or_default();
        let request = self.http.get(url.clone()).bearer_auth(token);
        let document = ask(url.as_str(), request).await?;
        let doing = "the provider's answer of its userinfo_endpoint is not an object";
        serde_json::from_value(document).context(ErrorKind::Unavailable, doing)
    }

    async fn get(&self, address: &str) -> Result<Value> {
        ask(address, self.http.get(address)).await
    }

    /// An address that the provider published; one on this machine only if
    /// the provider is.
    fn checked(&self, what: &str, address: &str) -> Result<Url> {
        let wrong = |error: Error| {
            Error::unavailable(format!("the provider's {what} cannot be used")).caused_by(error)
        };
        let url = check_url(what, address).map_err(wrong)?;
        if url.scheme() == "http" && !self.loopback {
            return Err(wrong(Error::invalid(format!(
                "{what} is {address:?}, which is not https"
            ))));
        }
        Ok(url)
    }
}

/// Chooses the cryptography of this process's TLS, which every HTTP client
/// asks for. Once is enough, and more is no harm.
pub fn install_crypto() {
    // An error says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn ask(address: &str, request: RequestBuilder) -> Result<Value> {
    let request = request.header("accept", "application/json");
    let answer = request.send().await.map_err(|error| unreachable(address, error))?;
    if !answer.status().is_success() {
        return Err(odd_status(address, answer.status()));
    }
    read_json(address, answer).await
}

async fn read_json(address: &str, mut answer: Response) -> Result<Value> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(address, error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Error::unavailable(format!(
                "the identity provider answered {address} with more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    let doing = || format!("the identity provider's answer to {address} is not JSON");
    serde_json::from_slice(&body).context(ErrorKind::Unavailable, doing())
}

fn unreachable(address: &str, error: reqwest::Error) -> Error {
    let message = format!("the identity provider does not answer ({address}); try again shortly");
    // Its own text repeats the address, with the query.
    Error::unavailable(message).caused_by(error.without_url())
}

fn odd_status(address: &str, status: StatusCode) -> Error {
    Error::unavailable(format!("the identity provider answered {address} with {status}"))
}

/// The provider says no. `invalid_client` is a mistake of whoever set this
/// server up; everything else is about this one login.
fn refused(status: StatusCode, document: Value) -> Error {
    let refusal: Refusal = serde_json::from_value(document).unwrap_or_default();
    let code = refusal.error.unwrap_or_else(|| status.to_string());
    let code: String = code.chars().take(60).collect();
    if code == "invalid_client" || code == "unauthorized_client" {
        return Error::unavailable(format!(
            "the identity provider does not know this server as its client ({code}); an \
             administrator has to look at oidc_client_id and oidc_client_secret_file"
        ));
    }
    let message = format!(
        "the identity provider did not take the code of this login ({code:?}); log in again"
    );
    Error::new(ErrorKind::Forbidden, message)
}
