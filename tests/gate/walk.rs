//! Every operation of the OpenAPI document, asked by every role.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use spendlake::api::{Need, Rule, Verb, rules};

use super::roles::{Reached, Who, app, reached};
use crate::support::app::{Answer, TestApp};
use crate::support::events::ORGANIZATION;

/// The path of a rule with something of [`ORGANIZATION`] in its places.
fn line_of(rule: &Rule) -> String {
    let id = match rule.path {
        path if path.starts_with("/api/organizations/") => ORGANIZATION,
        path if path.starts_with("/api/users/") => "ada",
        path if path.starts_with("/api/conversations/") => "c1",
        _ => "nothing",
    };
    let path = rule.path.replace("{id}", id);
    let path = path.replace("{team}", "search").replace("{user}", "ada");
    let path = path.replace("{key}", "key-1").replace("{department}", "General");
    let path = path.replace("{version}", "2026-11-23").replace("{format}", "openai-usage");
    match rule.need {
        Need::WholeUsage | Need::ManageQuery => {
            format!("{path}?organization_id={ORGANIZATION}")
        }
        _ => path,
    }
}

async fn ask(app: &TestApp, rule: &Rule, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(rule.verb.name()).uri(line_of(rule));
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    // A body that no route accepts: what passes the rule changes nothing.
    let body = match rule.verb {
        Verb::Get | Verb::Delete => Body::empty(),
        Verb::Post | Verb::Put => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from("{\"nonsense\":")
        }
    };
    app.request_as_it_is(request.body(body).expect("a request")).await
}

/// The words by which the rules refuse an organization.
const OF_THE_RULES: &str = "among those you may see";

fn check(rule: &Rule, who: Who, answer: &Answer) -> Result<(), String> {
    let said = String::from_utf8_lossy(&answer.body);
    let by_rule = said.contains(OF_THE_RULES);
    let fits = match reached(rule.need, who) {
        Reached::Unauthenticated => {
            answer.status == 401 && answer.headers.contains_key(header::WWW_AUTHENTICATE)
        }
        Reached::Forbidden => answer.status == 403,
        Reached::Unknown => answer.status == 404 && by_rule,
        // What they do within is asked elsewhere: the accounts' own rules may
        // still forbid, by a reason of their own.
        Reached::Itself => answer.status != 401 && !by_rule,
        Reached::All | Reached::Own | Reached::Part => {
            ![401, 403].contains(&answer.status) && !by_rule
        }
    };
    // 503 would be an answer, but nothing here is busy.
    if fits && answer.status < 500 {
        return Ok(());
    }
    let (verb, line) = (rule.verb.name(), line_of(rule));
    let need = rule.need;
    Err(format!("{verb} {line} ({need:?}) by {who:?}: {} {said}", answer.status))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_gets_as_far_as_the_table_says_on_every_route() {
    let app = app().await;
    let mut wrong = Vec::new();
    let mut asked = 0;
    for who in Who::ALL {
        // Those who may delete things come last.
        let mut rules: Vec<&Rule> = rules().iter().collect();
        rules.sort_by_key(|rule| rule.verb);
        let token = who.token(&app).await;
        for rule in rules {
            let answer = ask(&app, rule, token.as_deref()).await;
            wrong.extend(check(rule, who, &answer).err());
            asked += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(asked, rules().len() * Who::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_and_the_openapi_document_list_the_same_routes() {
    let app = TestApp::new().await;
    let document = app.json("/api/openapi.json").await;
    let mut documented = vec![("GET".to_owned(), "/api/openapi.json".to_owned())];
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            documented.push((method.to_uppercase(), path.clone()));
        }
    }
    let listed = rules().iter().map(|rule| (rule.verb.name().to_owned(), rule.path.to_owned()));
    let mut listed: Vec<_> = listed.collect();
    documented.sort();
    listed.sort();
    assert_eq!(listed, documented);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_of_each_route_whether_it_needs_a_credential() {
    let app = TestApp::new().await;
    let document = app.json("/api/openapi.json").await;
    for rule in rules().iter().filter(|rule| rule.path != "/api/openapi.json") {
        let operation = &document["paths"][rule.path][rule.verb.name().to_lowercase()];
        let is_open = rule.need == Need::Open;
        let said = &operation["security"];
        let needs =
            said.as_array().is_some_and(|all| all.iter().any(|one| one.get("token").is_some()));
        assert_eq!(needs, !is_open, "{} {}: {said}", rule.verb.name(), rule.path);
        assert!(operation["responses"]["401"] != Value::Null || is_open, "{}", rule.path);
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

/// What one may not read does not show in a directory either.
#[tokio::test(flavor = "multi_thread")]
async fn the_directory_shows_each_role_its_own() {
    let app = app().await;
    let ids = |answer: &Answer| -> Vec<String> {
        let items = answer.json()["items"].clone();
        let items = items.as_array().expect("items").iter();
        items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    };
    let get = |token: String, path: String| {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).expect("a request");
        app.request_as_it_is(request)
    };
    let within = |leaf: &str| format!("/api/organizations/{ORGANIZATION}/{leaf}");
    for (who, organizations, users, teams) in [
        (Who::SuperAdmin, 2, vec!["ada", "bob"], vec!["ads", "search"]),
        (Who::OrganizationAdmin, 1, vec!["ada", "bob"], vec!["ads", "search"]),
        (Who::TeamLead, 1, vec![], vec!["search"]),
        (Who::Member, 1, vec!["ada"], vec![]),
    ] {
        let token = who.token(&app).await.expect("a token");
        let found = ids(&get(token.clone(), "/api/organizations".to_owned()).await);
        assert_eq!(found.len(), organizations, "{who:?}: {found:?}");
        assert_eq!(ids(&get(token.clone(), within("users")).await), users, "{who:?}");
        assert_eq!(ids(&get(token.clone(), within("teams")).await), teams, "{who:?}");
        let bob = get(token, within("users/bob")).await;
        let seen = users.contains(&"bob");
        assert_eq!(bob.status, if seen { 200 } else { 404 }, "{who:?}: {}", bob.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organizations_admin_changes_it_and_adds_none() {
    let app = app().await;
    let token = Who::OrganizationAdmin.token(&app).await.expect("a token");
    let put = |id: &str, token: &str| {
        let request = Request::put(format!("/api/organizations/{id}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        app.request_as_it_is(request.body(Body::from(r#"{"name": "Acme"}"#)).expect("a request"))
    };
    assert_eq!(put(ORGANIZATION, &token).await.status, 200);
    let unseen = "0190a3c2-7b1e-7c00-8000-0000000000aa";
    let domain = spendlake::access::Domain::Organization { organization_id: unseen.to_owned() };
    let grant = spendlake::access::Grant::new(spendlake::access::Role::OrganizationAdmin, domain);
    let early = super::roles::token(&app, "early", vec![grant.expect("a grant")]).await;
    let answer = put(unseen, &early).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("platform:manage"), "{}", answer.text());
}
