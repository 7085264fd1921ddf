//! What a provider says of somebody, and which roles that gives: a pure
//! function from claims and rules to grants.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::grant::{Domain, Grant, Role};
use super::permission::{Permission, Permissions};
use crate::error::{Error, ErrorKind, Result};

/// Most grants that one person's claims may give.
const GRANTS_MAX: usize = 200;

/// What a verified token says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Adds what the provider says elsewhere and the token does not say. An
    /// address and whether it is verified are one saying: they come from the
    /// token, or both from elsewhere.
    pub(super) fn complete(&mut self, others: Map<String, Value>) {
        let has_email = self.has("email") || self.has("email_verified");
        for (name, value) in others {
            let of_email = matches!(name.as_str(), "email" | "email_verified");
            if !(of_email && has_email) {
                self.0.entry(name).or_insert(value);
            }
        }
    }

    /// Whether there is such a claim, whatever it says.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A claim that is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A time, in whole seconds (RFC 7519 allows fractions).
    pub(super) fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked before")]
        let whole = |seconds: f64| (seconds.abs() < 1e15).then(|| seconds.floor() as i64);
        value.as_i64().or_else(|| value.as_f64().and_then(whole))
    }

    /// For whom a token is: one name, or a list of names and of nothing else.
    pub(super) fn audiences(&self) -> Option<Vec<&str>> {
        match self.0.get("aud")? {
            Value::String(one) => Some(vec![one]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// An e-mail address that the provider has verified. One that it has not
    /// is whatever somebody typed, and never counts.
    pub(super) fn verified_email(&self) -> Option<&str> {
        // Some providers write the truth value as a string.
        let verified = match self.0.get("email_verified")? {
            Value::Bool(verified) => *verified,
            Value::String(verified) => verified == "true",
            _ => false,
        };
        self.text("email").filter(|_| verified)
    }

    /// What a person is called.
    pub(super) fn display_name(&self) -> Option<&str> {
        let named = ["name", "preferred_username"].into_iter().filter_map(|claim| self.text(claim));
        named.chain(self.verified_email()).find(|name| !name.trim().is_empty())
    }

    /// The scopes of ours that it names narrow what its roles allow; a token
    /// that names none is not narrowed.
    pub(super) fn permissions(&self) -> Permissions {
        let scopes = ["scope", "scp"].into_iter().flat_map(|claim| self.texts(claim));
        let ours: Vec<_> = scopes.filter_map(|scope| Permission::parse(&scope)).collect();
        if ours.is_empty() { Permissions::ALL } else { Permissions::of(&ours) }
    }

    /// The claim at `path`: a name, or names of nested claims with dots
    /// between. A name that itself has dots is found first.
    fn at(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(path) {
            return Some(value);
        }
        let (first, rest) = path.split_once('.')?;
        rest.split('.').try_fold(self.0.get(first)?, |value, name| value.get(name))
    }

    /// The texts that the claim at `path` consists of: those of a list, one
    /// text, the words of a scope, a number or truth value as it is written.
    fn texts(&self, path: &str) -> Vec<String> {
        if path == "email" {
            return self.verified_email().into_iter().map(str::to_owned).collect();
        }
        match self.at(path) {
            Some(Value::String(words)) if matches!(path, "scope" | "scp") => {
                words.split(' ').map(str::to_owned).collect()
            }
            Some(Value::Array(values)) => values.iter().filter_map(text_of).collect(),
            Some(value) => text_of(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// How claims become roles.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ClaimRules {
    /// Each that fits gives its grant.
    pub(super) mappings: Vec<Mapping>,
    /// What a person gets to whom nothing else gives anything.
    pub(super) defaults: Vec<GrantTemplate>,
    /// The claim that holds grants as we write them; `None` where the
    /// provider is not trusted to hand them out.
    pub(super) grants_claim: Option<String>,
    /// Domains of e-mail addresses, in lower case; empty for any person.
    pub(super) domains: Vec<String>,
}

/// A claim and what it gives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    /// A name, or names of nested claims with dots between.
    claim: String,
    /// The claim has to be, or to list, exactly this; without it, it only
    /// has to be there.
    value: Option<String>,
    #[serde(flatten)]
    grant: GrantTemplate,
}

/// A grant whose ids may be `${claim}`, the value of that claim.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Grant")]
pub(super) struct GrantTemplate(Grant);

impl TryFrom<Grant> for GrantTemplate {
    type Error = Error;

    fn try_from(grant: Grant) -> Result<Self> {
        let template = Self(grant);
        template.check()?;
        Ok(template)
    }
}

impl GrantTemplate {
    /// A misspelt reference would be an id that nobody has.
    fn check(&self) -> Result<()> {
        for id in ids(self.0.domain()) {
            let odd = id.contains("${") && reference(id).is_none();
            if id.is_empty() || odd {
                return Err(Error::invalid(format!(
                    "the id {id:?} of a mapping can never be one; it is an id, or ${{CLAIM}} and \
                     nothing around it"
                )));
            }
        }
        Ok(())
    }

    /// What it makes somebody.
    pub(super) fn role(&self) -> Role {
        self.0.role()
    }

    /// The grant for these claims; none where one that it refers to is not
    /// there or is not a single text.
    fn fill(&self, claims: &Claims) -> Option<Grant> {
        let fill = |id: &str| match reference(id) {
            None => Some(id.to_owned()),
            Some(claim) => match claims.texts(claim).as_slice() {
                [only] if !only.is_empty() => Some(only.clone()),
                _ => None,
            },
        };
        let domain = match self.0.domain() {
            Domain::Platform => Domain::Platform,
            Domain::Organization { organization_id } => {
                Domain::Organization { organization_id: fill(organization_id)? }
            }
            Domain::Team { organization_id, team_id } => {
                Domain::Team { organization_id: fill(organization_id)?, team_id: fill(team_id)? }
            }
            Domain::Department { organization_id, department } => Domain::Department {
                organization_id: fill(organization_id)?,
                department: fill(department)?,
            },
            Domain::User { organization_id, user_id } => {
                Domain::User { organization_id: fill(organization_id)?, user_id: fill(user_id)? }
            }
        };
        Grant::new(self.0.role(), domain).ok().map(Grant::with_usual_ids)
    }
}

/// The ids that a domain is made of.
fn ids(domain: &Domain) -> Vec<&str> {
    match domain {
        Domain::Platform => Vec::new(),
        Domain::Organization { organization_id } => vec![organization_id],
        Domain::Team { organization_id, team_id } => vec![organization_id, team_id],
        Domain::Department { organization_id, department } => vec![organization_id, department],
        Domain::User { organization_id, user_id } => vec![organization_id, user_id],
    }
}

/// The claim that an id of a mapping refers to.
fn reference(id: &str) -> Option<&str> {
    id.strip_prefix("${")?.strip_suffix('}').filter(|claim| !claim.is_empty())
}

impl Mapping {
    fn fits(&self, claims: &Claims) -> bool {
        let texts = claims.texts(&self.claim);
        match &self.value {
            Some(value) => texts.contains(value),
            None => !texts.is_empty(),
        }
    }

    /// An empty claim or value would fit nobody, or by accident somebody.
    pub(super) fn check(&self) -> Result<()> {
        if self.claim.is_empty() || self.value.as_ref().is_some_and(String::is_empty) {
            return Err(Error::invalid(format!(
                "a mapping has the claim {:?} and the value {:?}; both are texts that are not \
                 empty, and value may be left out for any",
                self.claim,
                self.value.as_deref().unwrap_or("(left out)")
            )));
        }
        if self.value.is_none() && self.grant.role() == Role::SuperAdmin {
            return Err(Error::invalid(format!(
                "the mapping of {:?} to super_admin names no value, so whoever has the claim \
                 would be one; name the value",
                self.claim
            )));
        }
        Ok(())
    }
}

impl ClaimRules {
    /// What a person may, by the claims of an identity token. `Forbidden`,
    /// in words for that person, where that is nothing, or where the e-mail
    /// address is not of an allowed domain.
    pub(super) fn grants_of_person(&self, claims: &Claims) -> Result<Vec<Grant>> {
        self.check_email(claims)?;
        let mut grants = self.grants(claims)?;
        if grants.is_empty() {
            grants = self.defaults.iter().filter_map(|grant| grant.fill(claims)).collect();
        }
        nonempty(grants, claims)
    }

    /// What a machine may, by the claims of an access token: only what a
    /// mapping or the provider's own grants give it.
    pub(super) fn grants_of_machine(&self, claims: &Claims) -> Result<Vec<Grant>> {
        nonempty(self.grants(claims)?, claims)
    }

    fn grants(&self, claims: &Claims) -> Result<Vec<Grant>> {
        let fitting = self.mappings.iter().filter(|mapping| mapping.fits(claims));
        let mut grants: Vec<_> = fitting.filter_map(|mapping| mapping.grant.fill(claims)).collect();
        grants.extend(self.trusted_grants(claims)?.into_iter().map(Grant::with_usual_ids));
        grants.sort_unstable();
        grants.dedup();
        if grants.len() > GRANTS_MAX {
            let count = grants.len();
            let message = format!(
                "the claims give {count} roles; at most {GRANTS_MAX} are kept for one person or \
                 machine: ask an administrator to map a wider one"
            );
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
        Ok(grants)
    }

    /// The grants that the provider itself wrote. One that cannot be read
    /// refuses them all: a part of what was meant may be too much.
    fn trusted_grants(&self, claims: &Claims) -> Result<Vec<Grant>> {
        let Some(name) = &self.grants_claim else { return Ok(Vec::new()) };
        let Some(value) = claims.at(name) else { return Ok(Vec::new()) };
        let read = match value {
            // Some providers keep texts only.
            Value::String(text) => serde_json::from_str(text),
            value => serde_json::from_value(value.clone()),
        };
        read.map_err(|error| {
            let message = format!(
                "the claim {name:?} is not a list of grants ({error}); whoever runs the identity \
                 provider can put that right"
            );
            Error::new(ErrorKind::Forbidden, message)
        })
    }

    fn check_email(&self, claims: &Claims) -> Result<()> {
        if self.domains.is_empty() {
            return Ok(());
        }
        let forbidden = |message| Err(Error::new(ErrorKind::Forbidden, message));
        let Some(email) = claims.verified_email() else {
            return forbidden(
                "the identity provider names no verified e-mail address of yours (email with \
                 email_verified), and only some domains are allowed here: verify it there, or ask \
                 an administrator to request the scope email"
                    .to_owned(),
            );
        };
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        if domain.is_some_and(|domain| self.domains.contains(&domain)) {
            return Ok(());
        }
        forbidden(format!(
            "{email} is not of a domain that is allowed here; an administrator can add it to the \
             setting oidc_domains"
        ))
    }
}

fn nonempty(grants: Vec<Grant>, claims: &Claims) -> Result<Vec<Grant>> {
    if !grants.is_empty() {
        return Ok(grants);
    }
    let subject = claims.text("sub").unwrap_or_default();
    let message = format!(
        "the identity provider knows {subject:?}, but no role here belongs to it: an administrator \
         of Spendlake can map one of its claims to a role (setting oidc_mappings_file)"
    );
    Err(Error::new(ErrorKind::Forbidden, message))
}

#[cfg(test)]
mod tests;
