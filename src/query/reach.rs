//! A reach as the `$reach_…` parameters of SQL questions.

use datafusion::common::ScalarValue;

use super::usage::only_these;
use crate::access::{Reach, RowReach};

/// What `queries/usage.sql` documents as `$reach_…`.
pub(super) fn reach_parameters(reach: &Reach) -> Vec<(String, ScalarValue)> {
    let mut lists = Lists::default();
    if let Reach::Within(organizations) = reach {
        organizations.iter().for_each(|(id, rows)| lists.add(id, rows));
    }
    vec![
        ("reach_all".to_owned(), (*reach == Reach::Everything).into()),
        ("reach_organization_ids".to_owned(), only_these(&lists.organization_ids)),
        ("reach_whole_ids".to_owned(), only_these(&lists.whole_ids)),
        ("reach_team_keys".to_owned(), only_these(&lists.team_keys)),
        ("reach_department_keys".to_owned(), only_these(&lists.department_keys)),
        ("reach_user_keys".to_owned(), only_these(&lists.user_keys)),
    ]
}

#[derive(Debug, Default)]
struct Lists {
    organization_ids: Vec<String>,
    whole_ids: Vec<String>,
    team_keys: Vec<String>,
    department_keys: Vec<String>,
    user_keys: Vec<String>,
}

impl Lists {
    fn add(&mut self, organization_id: &str, rows: &RowReach) {
        self.organization_ids.push(organization_id.to_owned());
        let RowReach::Parts { team_ids, departments, user_ids } = rows else {
            return self.whole_ids.push(organization_id.to_owned());
        };
        let key = |id: &String| key(organization_id, id);
        self.team_keys.extend(team_ids.iter().map(key));
        self.department_keys.extend(departments.iter().map(key));
        self.user_keys.extend(user_ids.iter().map(key));
    }
}

/// One text for both ids. The length in front keeps two pairs from ever making
/// the same text, whatever the ids look like.
fn key(organization_id: &str, id: &str) -> String {
    format!("{}:{organization_id}{id}", organization_id.chars().count())
}
