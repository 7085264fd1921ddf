//! What an event belongs to, where its sender does not say. What the event
//! says wins; the directory only fills what is missing, as of the event's time.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use chrono::SecondsFormat;
use xxhash_rust::xxh3::Xxh3Default;

use super::field::Field;
use super::rejected::{RejectReason, Rejection};
use super::validate::{ValidEvent, string_content};
use super::wire::WireEvent;
use crate::access::Reach;
use crate::directory::{Directory, DirectoryKind, Sighting};
use crate::model::UsageEvent;

/// Gives an event that names no organization the one that declared its key,
/// or else `default`. Fails where several organizations declared the key, since
/// any choice would be a guess. Owners that the sender may not write for are
/// not looked at: that they know the key is not for it to learn.
pub(super) fn set_organization(
    wire: &mut WireEvent<'_>,
    directory: &Directory,
    default: Option<&str>,
    writes: &Reach,
) -> Result<(), Rejection> {
    if wire.get(Field::OrganizationId).is_some() {
        return Ok(());
    }
    let key = wire.get(Field::ApiKeyId).and_then(string_content);
    let owners = key.as_deref().map_or(&[][..], |key| directory.owners_of_key(key));
    let owners: Vec<&String> = owners.iter().filter(|owner| writes.reads_whole(owner)).collect();
    match (owners.as_slice(), default) {
        ([owner], _) => wire.set_text(Field::OrganizationId, owner),
        (_, Some(default)) => wire.set_text(Field::OrganizationId, default),
        ([], None) => {}
        (several, None) => {
            let rule = format!(
                "is missing, and api_key_id {} belongs to {} organizations ({}); name the one that \
                 is meant",
                key.as_deref().unwrap_or_default(),
                several.len(),
                listed(several.iter().copied())
            );
            let field = Field::OrganizationId.name();
            return Err(Rejection::of_field(RejectReason::MissingField, field, None, rule));
        }
    }
    Ok(())
}

/// Refuses an event whose key another organization declared, and, where
/// registration is required, one of an organization that is not registered.
/// A sender that writes for some organizations only is not told of others'
/// keys: it says itself which of its organizations used a key of this name.
pub(super) fn check_organization(
    event: &ValidEvent,
    directory: &Directory,
    registration_required: bool,
    writes: &Reach,
) -> Result<(), Rejection> {
    let organization_id = &event.organization_id;
    if let Some(key) = &event.api_key_id {
        let owners = directory.owners_of_key(key).iter();
        let mut owners = owners.filter(|owner| writes.reads_whole(owner)).peekable();
        let is_owned = owners.peek().is_some();
        if is_owned && !owners.clone().any(|owner| owner == organization_id) {
            let rule = format!(
                "this key belongs to organization {}, but the event names organization \
                 {organization_id}; leave organization_id out, or send the key that was used",
                listed(owners)
            );
            let reason = RejectReason::KeyOfAnotherOrganization;
            return Err(Rejection::of_field(reason, Field::ApiKeyId.name(), Some(key), rule));
        }
    }
    if !registration_required {
        return Ok(());
    }
    let kind = DirectoryKind::Organization;
    let rule = match directory.get(kind, organization_id, organization_id) {
        Some(known) if known.holds_at(event.event_time) => return Ok(()),
        Some(known) => {
            let end = known.ended_at.unwrap_or_default();
            let end = end.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("this organization was deleted at {end}, before the event")
        }
        None => "the directory knows no such organization; add it with PUT \
                 /api/organizations/{id}, or do without registration (registration_required)"
            .to_owned(),
    };
    let field = Field::OrganizationId.name();
    let reason = RejectReason::UnknownOrganization;
    Err(Rejection::of_field(reason, field, Some(organization_id), rule))
}

fn listed<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    ids.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Fills the team from the user's membership at the time of the event, else
/// from the key; and the department from the team, else the organization's
/// default.
pub(super) fn fill(event: &mut UsageEvent, directory: &Directory) {
    let (organization_id, time) = (&event.organization_id, event.event_time);
    if event.team_id.is_none() {
        let of_user = |user: &String| directory.team_of_user(organization_id, user, time);
        let of_key = |key: &String| directory.team_of_key(organization_id, key, time);
        let team = event.user_id.as_ref().and_then(of_user);
        let team = team.or_else(|| event.api_key_id.as_ref().and_then(of_key));
        event.team_id = team.map(str::to_owned);
    }
    if event.department.is_none() {
        let of_team = |team: &String| directory.department_of_team(organization_id, team);
        let department = event.team_id.as_ref().and_then(of_team);
        let department = department.or_else(|| directory.default_department(organization_id));
        event.department = department.map(str::to_owned);
    }
}

type Hasher = BuildHasherDefault<Xxh3Default>;

/// The ids that `events` name and the directory does not know. Each distinct
/// id is looked up once, and copied only when it is new.
pub(super) fn sightings(events: &[UsageEvent], directory: &Directory) -> Vec<Sighting> {
    let mut seen: HashSet<(DirectoryKind, &str, &str), Hasher> = HashSet::default();
    let mut unknown = Vec::new();
    for event in events {
        let organization_id = event.organization_id.as_str();
        for (kind, id) in [
            (DirectoryKind::Organization, Some(organization_id)),
            (DirectoryKind::Team, event.team_id.as_deref()),
            (DirectoryKind::User, event.user_id.as_deref()),
            (DirectoryKind::ApiKey, event.api_key_id.as_deref()),
        ] {
            let Some(id) = id else { continue };
            let is_new = seen.insert((kind, organization_id, id));
            if is_new && directory.get(kind, organization_id, id).is_none() {
                unknown.push(Sighting {
                    kind,
                    organization_id: organization_id.to_owned(),
                    id: id.to_owned(),
                });
            }
        }
    }
    unknown
}
