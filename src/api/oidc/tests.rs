use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::access::test_issuer::{TestIssuer, TestKey};
use crate::access::{
    AccountChange, AccountRequest, Authenticator, Credential, Principal, Randomness,
    SystemRandomness,
};
use crate::api::CookiePolicy;
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::{AuditFilter, AuditRecord, DirectoryStore, IssuedSubject, SharedDirectory};

const MAPPINGS: &str = "[[mapping]]\nclaim = \"groups\"\nvalue = \"finance\"\nrole = \"analyst\"\n\
                        over = \"organization\"\norganization_id = \"o\"\n";

/// Both routes over a directory of their own.
struct Server {
    issuer: TestIssuer,
    authenticator: Arc<Authenticator>,
    directory: Arc<DirectoryStore>,
    router: Router,
}

/// An answer without its body, and the body.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Server {
    async fn start(cookies: CookiePolicy) -> Self {
        Self::with(cookies, |_| {}).await
    }

    async fn with(cookies: CookiePolicy, change: impl FnOnce(&mut Config)) -> Self {
        let issuer = TestIssuer::start().await;
        let mut config = issuer.config(MAPPINGS);
        change(&mut config);
        let clock: Arc<dyn Clock> = issuer.clock.clone();
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let oidc = Oidc::open(&config, &clock, &randomness).expect("settings").map(Arc::new);
        let names = SharedDirectory::default();
        let store = DirectoryStore::open(&config, names, Arc::clone(&clock)).await.expect("opened");
        let authenticator =
            Arc::new(Authenticator::new(&config, Arc::clone(&clock), randomness).expect("one"));
        authenticator.open(Arc::clone(&store)).await.expect("opened");
        let directory = DirectoryDoor::default();
        directory.set(Arc::clone(&store)).expect("once");
        let access = AccessDoor {
            authenticator: Arc::clone(&authenticator),
            cookies,
            offers_oidc: oidc.is_some(),
        };
        let door = OidcDoor { oidc, access, directory };
        let (router, _) = routes(door).split_for_parts();
        let router = router.with_state(());
        Self { issuer, authenticator, directory: store, router }
    }

    async fn get(&self, path: &str, cookie: Option<&str>) -> Answer {
        let mut request = Request::get(path).header(header::ACCEPT, "text/html,*/*");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), 100_000).await.expect("a body");
        Answer { status, headers, body: String::from_utf8(body.to_vec()).expect("UTF-8") }
    }

    /// Begins a login and lets the provider say `claims` of the person:
    /// answers the path to come back by, and the browser's cookie.
    async fn come_back(&self, path: &str, mut claims: Value) -> (String, String) {
        let begun = self.get(path, None).await;
        assert_eq!(begun.status, 303, "{}", begun.body);
        let (code, state) = self.issuer.approve(begun.location(), |nonce| {
            claims["nonce"] = json!(nonce);
            TestKey::shared().sign(&claims)
        });
        let cookie = begun.cookie("spendlake-login").expect("a cookie");
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        (format!("{CALLBACK_PATH}?code={code}&state={state}&session_state=x"), pair)
    }

    async fn audit(&self) -> Vec<AuditRecord> {
        let lines = self.directory.list_audit(&AuditFilter::last(100)).await.expect("the log");
        lines.into_iter().filter(|line| line.audit.action.starts_with("login")).collect()
    }

    async fn session(&self, secret: &str) -> Result<Arc<Principal>> {
        self.authenticator.authenticate(&Credential::Session(secret.to_owned())).await
    }
}

impl Answer {
    fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().expect("text")
    }

    /// The `Set-Cookie` of this name, or of this name with the prefix.
    fn cookie(&self, name: &str) -> Option<String> {
        let mut lines = self.headers.get_all(header::SET_COOKIE).iter();
        let starts = |line: &&HeaderValue| {
            let line = line.to_str().expect("text");
            line.trim_start_matches("__Host-").starts_with(&format!("{name}="))
        };
        lines.find(starts).map(|line| line.to_str().expect("text").to_owned())
    }
}

fn secret_of(cookie: &str) -> &str {
    cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair").1
}

#[tokio::test]
async fn a_login_opens_a_session_and_writes_it_down() {
    let server = Server::start(CookiePolicy::Loopback).await;
    let claims = server.issuer.person();
    let (path, cookie) = server.come_back("/api/oidc/login?return_to=/dash%3Fx=1", claims).await;
    let answer = server.get(&path, Some(&cookie)).await;
    assert_eq!((answer.status, answer.location()), (303, "/dash?x=1"), "{}", answer.body);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
    let kept = answer.cookie("spendlake").expect("a session");
    assert!(kept.contains("HttpOnly") && kept.contains("SameSite"), "{kept}");
    let forgotten = answer.cookie("spendlake-login").expect("a cookie");
    assert!(forgotten.starts_with("spendlake-login=; Max-Age=0"), "{forgotten}");
    let principal = server.session(secret_of(&kept)).await.expect("a session");
    let subject = format!("{}#248289761001", server.issuer.url);
    assert_eq!((principal.id(), principal.name()), (subject.as_str(), "Ada Lovelace"));
    let lines = server.audit().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].audit.action, "login");
    assert_eq!(lines[0].audit.actor, format!("Ada Lovelace ({subject})"));
}

#[tokio::test]
async fn a_login_that_was_finished_opens_no_second_session() {
    let server = Server::start(CookiePolicy::Loopback).await;
    let (path, cookie) = server.come_back("/api/oidc/login", server.issuer.person()).await;
    assert_eq!(server.get(&path, Some(&cookie)).await.location(), "/");
    let again = server.get(&path, Some(&cookie)).await;
    assert_eq!((again.status, again.cookie("spendlake")), (400, None));
    assert!(again.body.contains("log in again"), "{}", again.body);
    assert_eq!(server.audit().await.len(), 1, "what nobody began is only counted");
}

#[tokio::test]
async fn an_unmapped_person_sees_who_can_map_them_and_is_written_down() {
    let server = Server::start(CookiePolicy::Loopback).await;
    let mut claims = server.issuer.person();
    claims["groups"] = json!(["everyone"]);
    let (path, cookie) = server.come_back("/api/oidc/login", claims).await;
    let answer = server.get(&path, Some(&cookie)).await;
    assert_eq!((answer.status, answer.cookie("spendlake")), (403, None));
    assert!(answer.body.contains("an administrator of Spendlake can map"), "{}", answer.body);
    let lines = server.audit().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].audit.action, "login.failed");
    assert_eq!(lines[0].audit.subject, format!("{}#248289761001", server.issuer.url));
}

#[tokio::test]
async fn another_browser_gets_no_session() {
    let server = Server::start(CookiePolicy::Loopback).await;
    let (path, _) = server.come_back("/api/oidc/login", server.issuer.person()).await;
    for cookie in [None, Some("spendlake-login=guessed"), Some("spendlake=x")] {
        let answer = server.get(&path, cookie).await;
        assert_eq!((answer.status, answer.cookie("spendlake")), (400, None));
    }
    assert_eq!(server.audit().await.len(), 1, "however often it is tried");
}

#[tokio::test]
async fn an_open_redirect_is_refused() {
    let server = Server::start(CookiePolicy::Loopback).await;
    for path in ["https://evil.example", "//evil.example", "/%5Cevil.example", "/%09/evil.example"]
    {
        let answer = server.get(&format!("/api/oidc/login?return_to={path}"), None).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(!answer.headers.contains_key(header::LOCATION));
    }
}

#[tokio::test]
async fn under_https_cookies_go_nowhere_else() {
    let server = Server::start(CookiePolicy::Secure).await;
    let begun = server.get("/api/oidc/login", None).await;
    let cookie = begun.cookie("spendlake-login").expect("a cookie");
    assert!(cookie.starts_with("__Host-spendlake-login="), "{cookie}");
    for word in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let (path, cookie) = server.come_back("/api/oidc/login", server.issuer.person()).await;
    let answer = server.get(&path, Some(&cookie)).await;
    assert!(answer.cookie("spendlake").expect("a session").starts_with("__Host-spendlake="));
}

#[tokio::test]
async fn without_a_provider_there_is_nothing_to_log_in_by() {
    let server = Server::with(CookiePolicy::Loopback, |config| {
        *config = Config { data_dir: config.data_dir.clone(), ..Config::default() };
    })
    .await;
    for path in ["/api/oidc/login", "/api/oidc/callback?code=x&state=y"] {
        assert_eq!(server.get(path, None).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_and_not_blamed_on_the_person() {
    let server = Server::start(CookiePolicy::Loopback).await;
    server.issuer.answers().is_down = true;
    let answer = server.get("/api/oidc/login", None).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("identity provider has not answered"), "{}", answer.body);
}

/// An account that an administrator made for the person, with all roles.
async fn account_of_ada(server: &Server) -> String {
    let request = AccountRequest {
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        grants: Principal::operator().grants().to_vec(),
        password: None,
        subject: Some(IssuedSubject {
            issuer: server.issuer.url.clone(),
            subject: "248289761001".to_owned(),
        }),
    };
    let made = server.authenticator.create_account(&Principal::operator(), request).await;
    made.expect("an account").id
}

#[tokio::test]
async fn an_account_of_issuer_and_subject_goes_before_the_mappings() {
    let server = Server::start(CookiePolicy::Loopback).await;
    let id = account_of_ada(&server).await;
    let mut claims = server.issuer.person();
    claims["groups"] = json!([]);
    let (path, cookie) = server.come_back("/api/oidc/login", claims).await;
    let answer = server.get(&path, Some(&cookie)).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let kept = answer.cookie("spendlake").expect("a session");
    let principal = server.session(secret_of(&kept)).await.expect("a session");
    assert_eq!((principal.id(), principal.grants()), (id.as_str(), Principal::operator().grants()));
}

#[tokio::test]
async fn a_disabled_account_is_not_let_in_by_a_mapping() {
    let server = Server::start(CookiePolicy::Loopback).await;
    let id = account_of_ada(&server).await;
    // Somebody else must be left who may do everything.
    let other = AccountRequest {
        email: "eve@example.com".to_owned(),
        name: "Eve".to_owned(),
        grants: Principal::operator().grants().to_vec(),
        password: Some("a long enough password".to_owned()),
        subject: None,
    };
    let operator = Principal::operator();
    server.authenticator.create_account(&operator, other).await.expect("an account");
    let disabled = AccountChange { disabled: Some(true), ..AccountChange::default() };
    server.authenticator.change_account(&operator, &id, disabled).await.expect("disabled");
    let (path, cookie) = server.come_back("/api/oidc/login", server.issuer.person()).await;
    let answer = server.get(&path, Some(&cookie)).await;
    assert_eq!((answer.status, answer.cookie("spendlake")), (403, None));
    assert!(answer.body.contains("your account here is disabled"), "{}", answer.body);
}

#[tokio::test]
async fn whoever_begins_login_after_login_is_told_to_wait() {
    let server = Server::start(CookiePolicy::Loopback).await;
    for _ in 0..60 {
        assert_eq!(server.get("/api/oidc/login", None).await.status, 303);
    }
    let answer = server.get("/api/oidc/login", None).await;
    assert_eq!((answer.status, answer.cookie("spendlake-login")), (429, None));
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    server.issuer.clock.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(server.get("/api/oidc/login", None).await.status, 303);
}
