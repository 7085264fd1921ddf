//! What the OpenAPI document says of credentials.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};

use super::rules::{Found, Need, Verb, find};
use crate::api::CookiePolicy;
use crate::error::{Error, Result};

/// Adds the schemes, and to each route that needs one the answers of those
/// who may not. Fails where a route has no rule: it would answer nobody.
pub(in crate::api) fn describe(document: &mut OpenApi, cookies: CookiePolicy) -> Result<()> {
    let components = document.components.get_or_insert_default();
    let http = |scheme| SecurityScheme::Http(Http::new(scheme));
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(cookies.name())));
    components.add_security_scheme("token", http(HttpAuthScheme::Bearer));
    components.add_security_scheme("basic", http(HttpAuthScheme::Basic));
    components.add_security_scheme("session", cookie);
    for (path, item) in &mut document.paths.paths {
        for (verb, operation) in operations(item) {
            let method = verb.name().parse().map_err(|_| Error::internal("a verb is no method"))?;
            let Found::Rule(rule) = find(&method, path) else {
                let name = verb.name();
                return Err(Error::internal(format!("{name} {path} has no rule of access")));
            };
            if rule.need != Need::Open {
                guard(operation, rule.need);
            }
        }
    }
    Ok(())
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Verb, &mut Operation)> {
    let PathItem { get, post, put, delete, .. } = item;
    let all = [(Verb::Get, get), (Verb::Post, post), (Verb::Put, put), (Verb::Delete, delete)];
    all.into_iter().filter_map(|(verb, operation)| Some((verb, operation.as_mut()?)))
}

fn guard(operation: &mut Operation, need: Need) {
    let none: [&str; 0] = [];
    let requirement = |name: &str| SecurityRequirement::new(name, none);
    operation.security = Some(["token", "basic", "session"].map(requirement).to_vec());
    let mut answers = vec![("401", "Who asks is not known")];
    if need != Need::SignedIn {
        answers.push(("403", "Whoever asks may not do this"));
    }
    if matches!(need, Need::UsageOfPath | Need::WholeUsage | Need::ManagePath | Need::ManageQuery) {
        answers.push(("404", "Whoever asks knows of no such thing"));
    }
    for (status, description) in answers {
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(Ref::from_schema_name("Problem"))))
            .build();
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
}
