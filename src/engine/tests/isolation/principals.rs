//! Who asks.

use rand::Rng;
use rand::rngs::StdRng;

use crate::access::{Domain, Grant, Origin, Permissions, Principal, Role};

fn analyst(domains: Vec<Domain>) -> Principal {
    let grants =
        domains.into_iter().map(|domain| Grant::new(Role::Analyst, domain).expect("a grant"));
    Principal::new("analyst", "analyst", Origin::Token, grants.collect(), Permissions::ALL)
}

fn domain(random: &mut StdRng) -> Domain {
    let which = random.random_range(0..4);
    let one = random.random_range(0..3);
    let organization_id = format!("org-{which}");
    match random.random_range(0..4) {
        0 => Domain::Organization { organization_id },
        1 => Domain::Team { organization_id, team_id: format!("team-{which}-{one}") },
        2 => {
            let department = format!("department-{which}-{}", one % 2);
            Domain::Department { organization_id, department }
        }
        _ => Domain::User { organization_id, user_id: format!("user-{which}-{one}") },
    }
}

/// Somebody with one to three grants, or, now and then, with rows of none.
pub(super) fn random(random: &mut StdRng) -> Principal {
    match random.random_range(0..12) {
        0 => nobody(),
        _ => {
            let count = random.random_range(1..4);
            analyst((0..count).map(|_| domain(random)).collect())
        }
    }
}

/// The analyst of one whole organization.
pub(super) fn whole_of_one() -> Principal {
    analyst(vec![Domain::Organization { organization_id: "org-1".to_owned() }])
}

/// The analyst of one team.
pub(super) fn team_of_one() -> Principal {
    let team_id = "team-1-0".to_owned();
    analyst(vec![Domain::Team { organization_id: "org-1".to_owned(), team_id }])
}

/// The analyst of one user's rows.
pub(super) fn one_user() -> Principal {
    let user_id = "user-1-0".to_owned();
    analyst(vec![Domain::User { organization_id: "org-1".to_owned(), user_id }])
}

/// The analyst of an organization that has used nothing.
pub(super) fn nobody() -> Principal {
    analyst(vec![Domain::Organization { organization_id: "org-9".to_owned() }])
}
