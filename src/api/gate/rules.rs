//! The table of routes and what each of them needs.

use axum::http::Method;

use Need::{
    AllUsage, Events, Manage, ManagePath, ManageQuery, Metrics, Open, Platform, SignedIn, Sql,
    Usage, UsageOfPath, WholeOfUser, WholeUsage,
};
use Verb::{Delete, Get, Post, Put};

/// A method that routes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// HEAD as well.
    Get,
    Post,
    Put,
    Delete,
}

/// What whoever asks must be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: anybody may ask.
    Open,
    /// To be known.
    SignedIn,
    /// To read usage; the handler answers only what is within the reach.
    Usage,
    /// To read usage of the organization that the path names, or of a part of
    /// it; the handler answers only what is within the reach.
    UsageOfPath,
    /// To read all usage of the organization that the query names, or of
    /// every organization where it names none.
    WholeUsage,
    /// To read all usage of the organization of the user that the path names;
    /// the handler finds out which one it is.
    WholeOfUser,
    /// To read usage of every organization.
    AllUsage,
    /// To run SQL; the engine shows only what is within the reach.
    Sql,
    /// To send events; each is judged by the organization that it is of.
    Events,
    /// To manage an organization; the handler checks each one that the body
    /// names.
    Manage,
    /// To manage the organization that the path names.
    ManagePath,
    /// To manage the organization that the query names, or the platform where
    /// it names none.
    ManageQuery,
    /// To manage the platform.
    Platform,
    /// To manage the platform, unless `metrics_open` is set and this machine
    /// asks.
    Metrics,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The method.
    pub verb: Verb,
    /// The route's pattern.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
    /// What the audit log calls a successful request, where the route itself
    /// writes no line.
    pub audited_as: Option<&'static str>,
}

impl Verb {
    /// The verb of a method; `None` where no route takes it.
    pub fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            Method::PUT => Some(Self::Put),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// Its name in HTTP; HEAD is named beside GET.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

const fn rule(verb: Verb, path: &'static str, need: Need) -> Rule {
    Rule { verb, path, need, audited_as: None }
}

const fn audited(verb: Verb, path: &'static str, need: Need, action: &'static str) -> Rule {
    Rule { verb, path, need, audited_as: Some(action) }
}

/// Every route. What is not here is refused.
const RULES: &[Rule] = &[
    // For whoever runs the server.
    rule(Get, "/healthz", Open),
    rule(Get, "/readyz", Open),
    rule(Get, "/api/openapi.json", Open),
    rule(Get, "/metrics", Metrics),
    // Who asks. What one may do with tokens, accounts and sessions follows
    // from what one manages, which their own rules look at.
    rule(Get, "/login", Open),
    rule(Get, "/setup", Open),
    rule(Post, "/api/login", Open),
    rule(Post, "/api/logout", Open),
    rule(Post, "/api/setup", Open),
    rule(Get, "/api/oidc/login", Open),
    rule(Get, "/api/oidc/callback", Open),
    rule(Get, "/api/me", SignedIn),
    rule(Get, "/api/sessions", SignedIn),
    rule(Delete, "/api/sessions/{id}", SignedIn),
    rule(Get, "/api/tokens", SignedIn),
    rule(Post, "/api/tokens", SignedIn),
    rule(Get, "/api/tokens/{id}", SignedIn),
    rule(Delete, "/api/tokens/{id}", SignedIn),
    rule(Post, "/api/tokens/{id}/rotate", SignedIn),
    rule(Get, "/api/accounts", SignedIn),
    rule(Post, "/api/accounts", SignedIn),
    rule(Get, "/api/accounts/{id}", SignedIn),
    rule(Put, "/api/accounts/{id}", SignedIn),
    rule(Delete, "/api/accounts/{id}", SignedIn),
    // Analytics.
    rule(Get, "/api/organizations/{id}/analytics/summary", UsageOfPath),
    rule(Get, "/api/organizations/{id}/analytics/trends", UsageOfPath),
    rule(Get, "/api/organizations/{id}/analytics/users", UsageOfPath),
    rule(Get, "/api/organizations/{id}/analytics/teams", UsageOfPath),
    rule(Get, "/api/organizations/{id}/analytics/departments", UsageOfPath),
    rule(Get, "/api/organizations/{id}/analytics/api-keys", UsageOfPath),
    rule(Get, "/api/organizations/{id}/analytics/models", UsageOfPath),
    audited(Get, "/api/organizations/{id}/analytics/export", UsageOfPath, "usage.export"),
    rule(Get, "/api/users/{id}/analytics/summary", Usage),
    rule(Get, "/api/users/{id}/analytics/trends", Usage),
    rule(Get, "/api/users/{id}/analytics/models", Usage),
    rule(Get, "/api/users/{id}/analytics/conversations", Usage),
    rule(Get, "/api/users/{id}/analytics/compare-org", WholeOfUser),
    rule(Get, "/api/conversations/{id}", Usage),
    rule(Get, "/api/platform/analytics/summary", AllUsage),
    rule(Get, "/api/platform/analytics/trends", AllUsage),
    rule(Get, "/api/platform/analytics/organizations", AllUsage),
    rule(Get, "/api/platform/analytics/models", AllUsage),
    rule(Get, "/api/analytics/drill-down", Usage),
    rule(Get, "/api/reconciliation", WholeUsage),
    rule(Get, "/api/sightings", Usage),
    rule(Post, "/api/sql", Sql),
    rule(Get, "/api/sql/statements", Sql),
    rule(Get, "/api/sql/statements/{id}", Sql),
    rule(Delete, "/api/sql/statements/{id}", Sql),
    // What comes in.
    rule(Post, "/api/events", Events),
    rule(Post, "/api/integrations/litellm", Events),
    rule(Post, "/v1/logs", Events),
    rule(Post, "/v1/traces", Events),
    rule(Post, "/v1/metrics", Events),
    audited(
        Post,
        "/api/integrations/provider-reports/{format}",
        ManageQuery,
        "provider_report.import",
    ),
    // Corrections and privacy.
    rule(Post, "/api/events/void", Manage),
    rule(Post, "/api/events/replace", Manage),
    rule(Post, "/api/users/{id}/forget", Manage),
    rule(Get, "/api/audit-log", Manage),
    rule(Post, "/api/retention", Platform),
    rule(Get, "/api/closed-months", Platform),
    rule(Post, "/api/closed-months", Platform),
    rule(Get, "/api/closed-months/check", Platform),
    // Prices.
    rule(Get, "/api/prices", Platform),
    rule(Get, "/api/prices/{version}", Platform),
    audited(Put, "/api/prices/{version}", Platform, "prices.put"),
    audited(Post, "/api/prices/{version}/activate", Platform, "prices.activate"),
    rule(Post, "/api/prices/reprice", Platform),
    // The directory.
    rule(Get, "/api/organizations", Usage),
    rule(Get, "/api/organizations/{id}", UsageOfPath),
    rule(Put, "/api/organizations/{id}", ManagePath),
    rule(Delete, "/api/organizations/{id}", Platform),
    rule(Get, "/api/organizations/{id}/departments", UsageOfPath),
    rule(Get, "/api/organizations/{id}/departments/{department}", UsageOfPath),
    rule(Put, "/api/organizations/{id}/departments/{department}", ManagePath),
    rule(Delete, "/api/organizations/{id}/departments/{department}", ManagePath),
    rule(Get, "/api/organizations/{id}/teams", UsageOfPath),
    rule(Get, "/api/organizations/{id}/teams/{team}", UsageOfPath),
    rule(Put, "/api/organizations/{id}/teams/{team}", ManagePath),
    rule(Delete, "/api/organizations/{id}/teams/{team}", ManagePath),
    rule(Get, "/api/organizations/{id}/users", UsageOfPath),
    rule(Get, "/api/organizations/{id}/users/{user}", UsageOfPath),
    rule(Put, "/api/organizations/{id}/users/{user}", ManagePath),
    rule(Delete, "/api/organizations/{id}/users/{user}", ManagePath),
    rule(Get, "/api/organizations/{id}/users/{user}/memberships", UsageOfPath),
    rule(Put, "/api/organizations/{id}/users/{user}/memberships", ManagePath),
    rule(Delete, "/api/organizations/{id}/users/{user}/memberships", ManagePath),
    rule(Get, "/api/organizations/{id}/api-keys", UsageOfPath),
    rule(Get, "/api/organizations/{id}/api-keys/{key}", UsageOfPath),
    rule(Put, "/api/organizations/{id}/api-keys/{key}", ManagePath),
    rule(Delete, "/api/organizations/{id}/api-keys/{key}", ManagePath),
    rule(Post, "/api/directory/import", Platform),
    audited(Get, "/api/directory/export", Platform, "directory.export"),
];

/// Every route with what it needs.
pub fn rules() -> &'static [Rule] {
    RULES
}

/// What the table says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The rule to judge by.
    Rule(Rule),
    /// The path takes these methods, not this one.
    OtherMethods(String),
    /// A route that nobody may use: it is missing in the table.
    Nothing,
}

/// Looks up a route's rule.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let of_path = || rules().iter().filter(|rule| rule.path == path);
    let verb = Verb::of(method);
    if let Some(rule) = of_path().find(|rule| Some(rule.verb) == verb) {
        return Found::Rule(*rule);
    }
    let names = of_path().map(|rule| match rule.verb {
        Verb::Get => "GET,HEAD",
        other => other.name(),
    });
    let names: Vec<&str> = names.collect();
    if names.is_empty() { Found::Nothing } else { Found::OtherMethods(names.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_one_rule() {
        for (place, rule) in rules().iter().enumerate() {
            let same = |other: &Rule| (other.verb, other.path) == (rule.verb, rule.path);
            assert_eq!(rules().iter().position(same), Some(place), "{rule:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_not_found() {
        let found = find(&Method::HEAD, "/healthz");
        assert_eq!(found, Found::Rule(rule(Verb::Get, "/healthz", Need::Open)));
        assert_eq!(find(&Method::PATCH, "/api/sql"), Found::OtherMethods("POST".to_owned()));
        assert_eq!(find(&Method::GET, "/api/secrets"), Found::Nothing);
    }
}
