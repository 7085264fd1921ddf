//! One principal of each role, and what the table of routes lets it do.

use serde_json::json;
use spendlake::access::{Domain, Grant, Principal, Role, TokenRequest};
use spendlake::api::Need;

use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event_with, lines};

/// An organization that is none of theirs but the super admin's.
pub(super) const OTHER: &str = "0190a3c2-7b1e-7c00-8000-0000000000ff";

/// Somebody of each kind, over parts of [`ORGANIZATION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    SuperAdmin,
    OrganizationAdmin,
    TeamLead,
    Analyst,
    Member,
    Ingest,
    /// Shows no credential.
    Nobody,
    /// An admin of [`OTHER`].
    ForeignAdmin,
}

impl Who {
    pub(super) const ALL: [Self; 8] = [
        Self::SuperAdmin,
        Self::OrganizationAdmin,
        Self::TeamLead,
        Self::Analyst,
        Self::Member,
        Self::Ingest,
        Self::Nobody,
        Self::ForeignAdmin,
    ];

    /// Those that the documentation's table has a column for.
    pub(super) const COLUMNS: [(Self, &str); 6] = [
        (Self::SuperAdmin, "super admin"),
        (Self::OrganizationAdmin, "organization admin"),
        (Self::TeamLead, "team lead"),
        (Self::Analyst, "analyst"),
        (Self::Member, "member"),
        (Self::Ingest, "ingest"),
    ];

    fn grant(self) -> Option<Grant> {
        let organization = |id: &str| Domain::Organization { organization_id: id.to_owned() };
        let organization_id = ORGANIZATION.to_owned();
        let (role, domain) = match self {
            Self::SuperAdmin => (Role::SuperAdmin, Domain::Platform),
            Self::OrganizationAdmin => (Role::OrganizationAdmin, organization(ORGANIZATION)),
            Self::TeamLead => {
                (Role::TeamLead, Domain::Team { organization_id, team_id: "search".to_owned() })
            }
            Self::Analyst => (Role::Analyst, organization(ORGANIZATION)),
            Self::Member => {
                (Role::Member, Domain::User { organization_id, user_id: "ada".to_owned() })
            }
            Self::Ingest => (Role::Ingest, organization(ORGANIZATION)),
            Self::ForeignAdmin => (Role::OrganizationAdmin, organization(OTHER)),
            Self::Nobody => return None,
        };
        Some(Grant::new(role, domain).expect("a grant"))
    }

    /// A token of this role; none of nobody.
    pub(super) async fn token(self, app: &TestApp) -> Option<String> {
        let grant = self.grant()?;
        Some(token(app, &format!("{self:?}"), vec![grant]).await)
    }
}

/// A token of these grants.
pub(super) async fn token(app: &TestApp, name: &str, grants: Vec<Grant>) -> String {
    let request =
        TokenRequest { name: name.to_owned(), grants, scopes: None, expires_at: None, owned: None };
    let made = app.app.authenticator().create_token(&Principal::operator(), request).await;
    made.expect("a token").secret
}

/// A server with events of two organizations.
pub(super) async fn app() -> TestApp {
    let app = TestApp::new().await;
    let events = [
        event_with("1", json!({"team_id": "search"})),
        event_with("2", json!({"team_id": "ads", "user_id": "bob", "conversation_id": "c2"})),
        event_with(
            "3",
            json!({"organization_id": OTHER, "user_id": "eve", "conversation_id": "c3"}),
        ),
    ];
    app.store(lines(&events)).await;
    app.app.settle_directory().await;
    app
}

/// How far somebody gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Everything.
    All,
    /// Its own organization.
    Own,
    /// Its team, its department, or itself.
    Part,
    /// What concerns itself.
    Itself,
    /// Refused: it is known who it is.
    Forbidden,
    /// Refused: it may not know of it.
    Unknown,
    /// Refused: it is not known who it is.
    Unauthenticated,
}

/// What the rule of a need means for each role: written down a second time,
/// by role instead of by permission.
pub(super) fn reached(need: Need, who: Who) -> Reached {
    use Reached::{All, Forbidden, Itself, Own, Part, Unauthenticated, Unknown};
    if need == Need::Open {
        return All;
    }
    match who {
        Who::Nobody => Unauthenticated,
        Who::SuperAdmin => All,
        _ if need == Need::SignedIn => Itself,
        Who::OrganizationAdmin => match need {
            Need::Platform | Need::Metrics | Need::AllUsage => Forbidden,
            _ => Own,
        },
        Who::ForeignAdmin => match need {
            Need::Platform | Need::Metrics | Need::AllUsage => Forbidden,
            Need::UsageOfPath | Need::ManagePath | Need::WholeUsage | Need::ManageQuery => Unknown,
            _ => Own,
        },
        Who::Analyst => match need {
            Need::Usage | Need::UsageOfPath | Need::WholeUsage | Need::WholeOfUser | Need::Sql => {
                Own
            }
            _ => Forbidden,
        },
        Who::TeamLead | Who::Member => match need {
            Need::Usage | Need::UsageOfPath => Part,
            _ => Forbidden,
        },
        Who::Ingest => match need {
            Need::Events => Own,
            _ => Forbidden,
        },
    }
}
