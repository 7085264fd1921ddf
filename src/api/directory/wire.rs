//! The things of the directory as they are written, and as a PUT reads them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::wire::time;
use crate::directory::{Details, Entry, Membership};

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Organization {
    /// A UUID.
    #[schema(required = false)]
    id: String,
    /// What people call it.
    name: String,
    /// Decides the local date of events that arrive from now on; an IANA name.
    #[schema(required = false, default = "UTC", example = "Europe/Berlin")]
    time_zone: String,
    /// The department of events that nothing else attributes.
    default_department: Option<String>,
    /// declared by a person, or seen in an event.
    #[schema(required = false, default = "declared")]
    origin: &'static str,
    /// Since when it is deleted.
    deleted_at: Option<String>,
}

/// A department or a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Named {
    /// The organization.
    #[schema(required = false)]
    organization_id: String,
    /// What events call it.
    #[schema(required = false)]
    id: String,
    /// What people call it.
    name: String,
    /// declared by a person, or seen in an event.
    #[schema(required = false, default = "declared")]
    origin: &'static str,
    /// Since when it is deleted.
    deleted_at: Option<String>,
}

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Team {
    /// The organization.
    #[schema(required = false)]
    organization_id: String,
    /// What events call it.
    #[schema(required = false)]
    id: String,
    /// What people call it.
    name: String,
    /// The department of its events that name none.
    department: Option<String>,
    /// declared by a person, or seen in an event.
    #[schema(required = false, default = "declared")]
    origin: &'static str,
    /// Since when it is deleted.
    deleted_at: Option<String>,
}

/// An API key, by its identifier; the key itself is never known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKey {
    /// The organization.
    #[schema(required = false)]
    organization_id: String,
    /// What events call it.
    #[schema(required = false)]
    id: String,
    /// What people call it.
    name: String,
    /// Whose API it opens.
    provider: Option<String>,
    /// prod, dev, …
    #[schema(example = "prod")]
    environment: Option<String>,
    /// The user it was given to.
    owner_user_id: Option<String>,
    /// The team of its events that name none and whose user is in none.
    team_id: Option<String>,
    /// declared by a person, or seen in an event. A key that was only seen
    /// belongs to nobody.
    #[schema(required = false, default = "declared")]
    origin: &'static str,
    /// Since when it is revoked.
    revoked_at: Option<String>,
}

/// A user's time in a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembershipAnswer {
    /// The organization.
    #[schema(required = false)]
    organization_id: String,
    /// The member.
    #[schema(required = false)]
    user_id: String,
    /// The team.
    team_id: String,
    /// The first instant of it: a date or an RFC 3339 time. Left out: the
    /// membership of this team that has not ended, else one from now on.
    #[schema(required = false)]
    valid_from: String,
    /// The first instant after it.
    valid_to: Option<String>,
    /// Whether it decides among several at one time; else the latest does.
    #[schema(required = false, default = false)]
    primary: bool,
}

/// A thing of any kind.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Thing {
    Organization(Organization),
    Named(Named),
    Team(Team),
    ApiKey(ApiKey),
}

impl From<&Entry> for Thing {
    fn from(entry: &Entry) -> Self {
        let (organization_id, id) = (entry.organization_id.clone(), entry.id.clone());
        let (name, origin) = (entry.name.clone(), entry.origin.as_str());
        let deleted_at = entry.ended_at.map(time);
        match entry.details.clone() {
            Details::Organization { time_zone, default_department } => {
                let time_zone = time_zone.name().to_owned();
                Self::Organization(Organization {
                    id,
                    name,
                    time_zone,
                    default_department,
                    origin,
                    deleted_at,
                })
            }
            Details::Department | Details::User => {
                Self::Named(Named { organization_id, id, name, origin, deleted_at })
            }
            Details::Team { department } => {
                Self::Team(Team { organization_id, id, name, department, origin, deleted_at })
            }
            Details::ApiKey { provider, environment, owner_user_id, team_id } => {
                Self::ApiKey(ApiKey {
                    organization_id,
                    id,
                    name,
                    provider,
                    environment,
                    owner_user_id,
                    team_id,
                    origin,
                    revoked_at: deleted_at,
                })
            }
        }
    }
}

impl From<&Membership> for MembershipAnswer {
    fn from(membership: &Membership) -> Self {
        Self {
            organization_id: membership.organization_id.clone(),
            user_id: membership.user_id.clone(),
            team_id: membership.team_id.clone(),
            valid_from: time(membership.valid_from),
            valid_to: membership.valid_to.map(time),
            primary: membership.primary,
        }
    }
}
