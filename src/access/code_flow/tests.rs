use serde_json::{Value, json};

use super::*;
use crate::access::oidc::Oidc;
use crate::access::permission::Permission;
use crate::access::randomness::SystemRandomness;
use crate::access::test_issuer::{TestIssuer, TestKey};
use crate::config::Config;

const MAPPINGS: &str = "[[mapping]]\nclaim = \"groups\"\nvalue = \"finance\"\nrole = \"analyst\"\n\
                        over = \"organization\"\norganization_id = \"o\"\n";

fn open(issuer: &TestIssuer, change: impl FnOnce(&mut Config)) -> Oidc {
    let mut config = issuer.config(MAPPINGS);
    change(&mut config);
    let clock: Arc<dyn Clock> = issuer.clock.clone();
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    Oidc::open(&config, &clock, &randomness).expect("settings").expect("a provider")
}

fn answer(code: &str, state: &str) -> LoginAnswer {
    let text = |text: &str| Some(text.to_owned());
    LoginAnswer { code: text(code), state: text(state), ..LoginAnswer::default() }
}

/// Signs what the provider says of a person, with the nonce that it was sent.
fn sign(mut claims: Value) -> impl FnOnce(&str) -> String {
    move |nonce| {
        claims["nonce"] = json!(nonce);
        TestKey::shared().sign(&claims)
    }
}

/// A whole login of a person of whom the provider says `claims`.
async fn login(oidc: &Oidc, issuer: &TestIssuer, claims: Value) -> Result<LoggedIn, FailedLogin> {
    let begun = oidc.begin_login(Some("/dashboard?tab=1")).await.expect("begun");
    let (code, state) = issuer.approve(&begun.location, sign(claims));
    oidc.finish_login(&answer(&code, &state), Some(&begun.browser_secret)).await
}

/// What a person is told who does not get in.
fn message(failed: Result<LoggedIn, FailedLogin>, kind: ErrorKind) -> String {
    let error = match failed {
        Ok(logged_in) => logged_in.principal.expect_err("refused"),
        Err(failed) => failed.error,
    };
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_login_makes_a_principal_of_issuer_and_subject() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let logged_in = login(&oidc, &issuer, issuer.person()).await.expect("logged in");
    let principal = logged_in.principal.expect("roles");
    assert_eq!(principal.id(), format!("{}#248289761001", issuer.url));
    assert_eq!((principal.name(), principal.origin()), ("Ada Lovelace", Origin::Session));
    assert!(principal.may_in(Permission::ReadUsage, "o"));
    assert_eq!(logged_in.subject.subject, "248289761001");
    assert_eq!(logged_in.return_to, "/dashboard?tab=1");
}

#[tokio::test]
async fn grants_follow_the_claims_of_each_login() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let first = login(&oidc, &issuer, issuer.person()).await.expect("logged in");
    let mut claims = issuer.person();
    claims["groups"] = json!(["everyone"]);
    let second = message(login(&oidc, &issuer, claims).await, ErrorKind::Forbidden);
    assert_eq!(first.principal.expect("roles").grants().len(), 1);
    assert!(second.contains("no role here belongs to it"), "{second}");
}

#[tokio::test]
async fn a_public_client_and_one_that_posts_its_secret_log_in() {
    let issuer = TestIssuer::start().await;
    let public = open(&issuer, |config| config.oidc_client_secret_file = "".into());
    login(&public, &issuer, issuer.person()).await.expect("logged in");
    let methods = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
    issuer.answers().discovery = methods;
    let oidc = open(&issuer, |_| {});
    login(&oidc, &issuer, issuer.person()).await.expect("logged in");
    let methods = json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] });
    issuer.answers().discovery = methods;
    let other = open(&issuer, |_| {});
    let said = message(login(&other, &issuer, issuer.person()).await, ErrorKind::Unavailable);
    assert!(said.contains("private_key_jwt"), "{said}");
}

#[tokio::test]
async fn state_nonce_and_verifier_are_new_in_each_login() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let begun = oidc.begin_login(None).await.expect("begun");
        let url: url::Url = begun.location.parse().expect("a URL");
        for (name, value) in url.query_pairs() {
            if ["state", "nonce", "code_challenge"].contains(&name.as_ref()) {
                assert!(value.len() == 43 && seen.insert(value.into_owned()));
            }
        }
        assert!(seen.insert(begun.browser_secret));
    }
    assert_eq!(seen.len(), 12);
}

#[tokio::test]
async fn a_wrong_nonce_is_refused() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let begun = oidc.begin_login(None).await.expect("begun");
    let claims = issuer.person();
    let (code, state) = issuer.approve(&begun.location, |_| sign(claims)("of another login"));
    let failed = oidc.finish_login(&answer(&code, &state), Some(&begun.browser_secret)).await;
    let said = message(failed, ErrorKind::Forbidden);
    assert!(said.contains("nonce is not the one of this login"), "{said}");
}

#[tokio::test]
async fn a_wrong_state_is_refused() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let begun = oidc.begin_login(None).await.expect("begun");
    let (code, _) = issuer.approve(&begun.location, sign(issuer.person()));
    for state in ["", "guessed", &"x".repeat(100_000)] {
        let failed = oidc.finish_login(&answer(&code, state), Some(&begun.browser_secret)).await;
        assert!(!failed.as_ref().expect_err("refused").is_news);
        assert!(message(failed, ErrorKind::Invalid).contains("not known here"));
    }
    let none = LoginAnswer { code: Some(code), ..LoginAnswer::default() };
    assert!(oidc.finish_login(&none, Some(&begun.browser_secret)).await.is_err());
}

#[tokio::test]
async fn a_login_ends_only_in_the_browser_that_began_it() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let begun = oidc.begin_login(None).await.expect("begun");
    let other = oidc.begin_login(None).await.expect("begun");
    let (code, state) = issuer.approve(&begun.location, sign(issuer.person()));
    let answer = answer(&code, &state);
    for secret in [None, Some(""), Some("guessed"), Some(other.browser_secret.as_str())] {
        let said = message(oidc.finish_login(&answer, secret).await, ErrorKind::Invalid);
        assert!(said.contains("begun by another browser"), "{said}");
    }
    let finished = oidc.finish_login(&answer, Some(&begun.browser_secret)).await;
    finished.expect("the browser that began it is not hindered by others");
}

#[tokio::test]
async fn a_code_and_its_state_are_taken_once() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let begun = oidc.begin_login(None).await.expect("begun");
    let (code, state) = issuer.approve(&begun.location, sign(issuer.person()));
    let secret = Some(begun.browser_secret.as_str());
    oidc.finish_login(&answer(&code, &state), secret).await.expect("logged in");
    let again = oidc.finish_login(&answer(&code, &state), secret).await;
    assert!(message(again, ErrorKind::Invalid).contains("was finished"));
    // The code in a login of its own: the provider does not take it either.
    let begun = oidc.begin_login(None).await.expect("begun");
    let (_, state) = issuer.approve(&begun.location, sign(issuer.person()));
    let reused = oidc.finish_login(&answer(&code, &state), Some(&begun.browser_secret)).await;
    assert!(message(reused, ErrorKind::Forbidden).contains("did not take the code"));
}

#[tokio::test]
async fn a_code_of_another_login_is_refused_by_its_challenge() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let stolen = oidc.begin_login(None).await.expect("begun");
    let (code, _) = issuer.approve(&stolen.location, sign(issuer.person()));
    let mine = oidc.begin_login(None).await.expect("begun");
    let (_, state) = issuer.approve(&mine.location, sign(issuer.person()));
    let failed = oidc.finish_login(&answer(&code, &state), Some(&mine.browser_secret)).await;
    assert!(message(failed, ErrorKind::Forbidden).contains("invalid_grant"));
}

#[tokio::test]
async fn a_login_that_takes_more_than_ten_minutes_is_refused() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let begun = oidc.begin_login(None).await.expect("begun");
    issuer.clock.advance(TimeDelta::seconds(LOGIN_SECONDS_MAX));
    let (code, state) = issuer.approve(&begun.location, sign(issuer.person()));
    let secret = Some(begun.browser_secret.as_str());
    oidc.finish_login(&answer(&code, &state), secret).await.expect("just in time");
    let begun = oidc.begin_login(None).await.expect("begun");
    let (code, state) = issuer.approve(&begun.location, sign(issuer.person()));
    issuer.clock.advance(TimeDelta::seconds(LOGIN_SECONDS_MAX + 1));
    let late = oidc.finish_login(&answer(&code, &state), Some(&begun.browser_secret)).await;
    assert!(message(late, ErrorKind::Invalid).contains("more than 10 minutes ago"));
}

#[tokio::test]
async fn return_to_stays_on_this_server() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    for path in ["/", "/dashboard?x=https://a.example#part", "/a//b", "/%2F%2Fevil.example"] {
        assert!(oidc.begin_login(Some(path)).await.is_ok(), "{path}");
    }
    let long = format!("/{}", "x".repeat(RETURN_TO_BYTES_MAX));
    for path in [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        " //evil.example",
        "/\r\nset-cookie: x=y",
        "javascript:alert(1)",
        "dashboard",
        "/\u{fc}bersicht",
        "",
        long.as_str(),
    ] {
        let error = oidc.begin_login(Some(path)).await.expect_err(path);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{path}");
        assert!(error.to_string().contains("it is a path of this server"), "{error}");
    }
}

#[tokio::test]
async fn an_identity_token_of_another_key_issuer_or_audience_is_refused() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    for (name, value) in [
        ("iss", json!("https://id.example.com")),
        ("aud", json!("another client")),
        ("exp", json!(issuer.clock.now().timestamp() - 60)),
        ("sub", json!("")),
    ] {
        let mut claims = issuer.person();
        claims[name] = value;
        let said = message(login(&oidc, &issuer, claims).await, ErrorKind::Forbidden);
        assert!(said.contains("token about you does not hold"), "{name}: {said}");
    }
    let begun = oidc.begin_login(None).await.expect("begun");
    let mut claims = issuer.person();
    let (code, state) = issuer.approve(&begun.location, |nonce| {
        claims["nonce"] = json!(nonce);
        TestKey::other().sign(&claims)
    });
    let failed = oidc.finish_login(&answer(&code, &state), Some(&begun.browser_secret)).await;
    assert!(message(failed, ErrorKind::Forbidden).contains("publishes no key second"));
}

#[tokio::test]
async fn an_unverified_address_does_not_log_in_where_domains_are_set() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |config| config.oidc_domains = "example.com".to_owned());
    login(&oidc, &issuer, issuer.person()).await.expect("logged in");
    let mut claims = issuer.person();
    claims["email_verified"] = json!(false);
    let said = message(login(&oidc, &issuer, claims).await, ErrorKind::Forbidden);
    assert!(said.contains("no verified e-mail address"), "{said}");
}

#[tokio::test]
async fn what_the_provider_refuses_is_said_in_words() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let begun = oidc.begin_login(None).await.expect("begun");
    let (_, state) = issuer.approve(&begun.location, sign(issuer.person()));
    let denied = LoginAnswer {
        error: Some("access_denied".to_owned()),
        state: Some(state),
        ..LoginAnswer::default()
    };
    let failed = oidc.finish_login(&denied, Some(&begun.browser_secret)).await;
    assert!(message(failed, ErrorKind::Forbidden).contains("\"access_denied\""));
    issuer.answers().token_answer =
        Some((axum::http::StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" })));
    let said = message(login(&oidc, &issuer, issuer.person()).await, ErrorKind::Unavailable);
    assert!(said.contains("oidc_client_secret_file"), "{said}");
    issuer.answers().token_answer = Some((axum::http::StatusCode::OK, json!({})));
    let said = message(login(&oidc, &issuer, issuer.person()).await, ErrorKind::Unavailable);
    assert!(said.contains("no identity token"), "{said}");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_refused() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |_| {});
    let finish = async |from: Option<&str>| {
        let begun = oidc.begin_login(None).await.expect("begun");
        let (code, state) = issuer.approve(&begun.location, sign(issuer.person()));
        let mut answer = answer(&code, &state);
        answer.issuer = from.map(str::to_owned);
        oidc.finish_login(&answer, Some(&begun.browser_secret)).await
    };
    finish(None).await.expect("it does not say");
    finish(Some(&issuer.url)).await.expect("it is this one");
    let said = message(finish(Some("https://evil.example")).await, ErrorKind::Invalid);
    assert!(said.contains("not from the identity provider"), "{said}");
    issuer.answers().discovery = json!({ "authorization_response_iss_parameter_supported": true });
    issuer.clock.advance(TimeDelta::minutes(6));
    assert!(finish(None).await.is_err(), "it always says");
}

#[tokio::test]
async fn a_provider_that_is_down_lets_nobody_log_in_until_it_is_back() {
    let issuer = TestIssuer::start().await;
    issuer.answers().is_down = true;
    let oidc = open(&issuer, |_| {});
    let error = oidc.begin_login(None).await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    issuer.answers().is_down = false;
    issuer.clock.advance(TimeDelta::seconds(5));
    login(&oidc, &issuer, issuer.person()).await.expect("logged in");
}

#[tokio::test]
async fn without_a_client_id_nobody_logs_in() {
    let issuer = TestIssuer::start().await;
    let oidc = open(&issuer, |config| config.oidc_client_id = String::new());
    assert!(!oidc.takes_people() && oidc.jwt_verifier().is_some());
    assert_eq!(oidc.begin_login(None).await.expect_err("none").kind(), ErrorKind::NotFound);
    let machines_off = open(&issuer, |config| config.oidc_audience = String::new());
    assert!(machines_off.takes_people() && machines_off.jwt_verifier().is_none());
}

#[tokio::test]
async fn roles_can_come_from_the_userinfo_endpoint_of_the_same_person() {
    let issuer = TestIssuer::start().await;
    let userinfo = json!({ "userinfo_endpoint": format!("{}/userinfo", issuer.url) });
    issuer.answers().discovery = userinfo;
    let asking = open(&issuer, |config| config.oidc_userinfo = true);
    let mut claims = issuer.person();
    claims.as_object_mut().expect("an object").remove("groups");
    issuer.answers().userinfo = json!({ "sub": "248289761001", "groups": ["finance"] });
    let logged_in = login(&asking, &issuer, claims.clone()).await.expect("logged in");
    assert_eq!(logged_in.principal.expect("roles").grants().len(), 1);
    let not_asking = open(&issuer, |_| {});
    let said = message(login(&not_asking, &issuer, claims.clone()).await, ErrorKind::Forbidden);
    assert!(said.contains("no role here belongs to it"), "{said}");
    issuer.answers().userinfo = json!({ "sub": "another", "groups": ["finance"] });
    let said = message(login(&asking, &issuer, claims).await, ErrorKind::Forbidden);
    assert!(said.contains("speaks of two persons"), "{said}");
}
