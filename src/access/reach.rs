//! Which rows somebody may read: the one value from which every read path
//! makes its filter.

use std::collections::{BTreeMap, BTreeSet};

/// A set of rows of everything that has an organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Every row.
    Everything,
    /// Of each of these organizations these rows; no row where there is none.
    Within(BTreeMap<String, RowReach>),
}

/// Rows of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowReach {
    /// All of them.
    Whole,
    /// Those whose team, department or user is among these: one is enough.
    Parts { team_ids: BTreeSet<String>, departments: BTreeSet<String>, user_ids: BTreeSet<String> },
}

impl Reach {
    /// No row at all.
    pub fn nothing() -> Self {
        Self::Within(BTreeMap::new())
    }

    /// Rows of one organization.
    pub fn within(organization_id: &str, rows: RowReach) -> Self {
        Self::Within(BTreeMap::from([(organization_id.to_owned(), rows)]))
    }

    /// The rows of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (Self::Within(mut ours), Self::Within(theirs)) => {
                for (organization_id, rows) in theirs {
                    let known = ours.remove(&organization_id);
                    let rows = known.map_or(rows.clone(), |known| known.or(rows));
                    ours.insert(organization_id, rows);
                }
                Self::Within(ours)
            }
        }
    }

    /// Whether it holds no row.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Within(organizations) if organizations.is_empty())
    }

    /// The rows of an organization; `None` when there are none.
    pub fn of_organization(&self, organization_id: &str) -> Option<&RowReach> {
        match self {
            Self::Everything => Some(&RowReach::Whole),
            Self::Within(organizations) => organizations.get(organization_id),
        }
    }

    /// Whether every row of `other` is within it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) => true,
            (Self::Within(_), Self::Everything) => false,
            (Self::Within(ours), Self::Within(theirs)) => {
                theirs.iter().all(|(id, rows)| ours.get(id).is_some_and(|known| known.covers(rows)))
            }
        }
    }

    /// Whether every row of the organization is within it.
    pub fn reads_whole(&self, organization_id: &str) -> bool {
        self.of_organization(organization_id) == Some(&RowReach::Whole)
    }
}

impl RowReach {
    /// What a team used.
    pub fn of_team(team_id: &str) -> Self {
        Self::parts([team_id], [], [])
    }

    /// What a department used.
    pub fn of_department(department: &str) -> Self {
        Self::parts([], [department], [])
    }

    /// What a user used.
    pub fn of_user(user_id: &str) -> Self {
        Self::parts([], [], [user_id])
    }

    /// Whether a row with these values is within it.
    pub fn holds(
        &self,
        team_id: Option<&str>,
        department: Option<&str>,
        user_id: Option<&str>,
    ) -> bool {
        match self {
            Self::Whole => true,
            Self::Parts { team_ids, departments, user_ids } => {
                let among = |ids: &BTreeSet<String>, id: Option<&str>| {
                    id.is_some_and(|id| ids.contains(id))
                };
                among(team_ids, team_id)
                    || among(departments, department)
                    || among(user_ids, user_id)
            }
        }
    }

    /// Whether every row of `other` is surely within it: a team's rows are not
    /// known to be among a department's.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole, _) => true,
            (Self::Parts { .. }, Self::Whole) => false,
            (
                Self::Parts { team_ids, departments, user_ids },
                Self::Parts { team_ids: teams, departments: others, user_ids: users },
            ) => {
                teams.is_subset(team_ids)
                    && others.is_subset(departments)
                    && users.is_subset(user_ids)
            }
        }
    }

    fn parts<'a>(
        team_ids: impl IntoIterator<Item = &'a str>,
        departments: impl IntoIterator<Item = &'a str>,
        user_ids: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::Parts {
            team_ids: team_ids.into_iter().map(str::to_owned).collect(),
            departments: departments.into_iter().map(str::to_owned).collect(),
            user_ids: user_ids.into_iter().map(str::to_owned).collect(),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (
                Self::Parts { mut team_ids, mut departments, mut user_ids },
                Self::Parts { team_ids: teams, departments: others, user_ids: users },
            ) => {
                team_ids.extend(teams);
                departments.extend(others);
                user_ids.extend(users);
                Self::Parts { team_ids, departments, user_ids }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_covers_what_surely_lies_within_it() {
        let team = Reach::within("a", RowReach::of_team("t"));
        let user = Reach::within("a", RowReach::of_user("t"));
        let whole = Reach::within("a", RowReach::Whole);
        let both = team.clone().or(user.clone());
        assert!(Reach::Everything.covers(&Reach::Everything) && !whole.covers(&Reach::Everything));
        assert!(whole.covers(&both) && both.covers(&team) && both.covers(&user));
        assert!(!team.covers(&both) && !team.covers(&user) && !both.covers(&whole));
        assert!(!whole.covers(&Reach::within("b", RowReach::of_user("t"))));
        assert!(team.covers(&Reach::nothing()) && Reach::nothing().covers(&Reach::nothing()));
    }

    #[test]
    fn reaches_add_up_by_organization() {
        let team = Reach::within("a", RowReach::of_team("t"));
        let user = Reach::within("a", RowReach::of_user("u"));
        let both = team.clone().or(user);
        let rows = both.of_organization("a").expect("rows");
        assert!(rows.holds(Some("t"), None, Some("x")) && rows.holds(None, None, Some("u")));
        assert!(!rows.holds(Some("x"), Some("t"), None) && !rows.holds(None, None, None));
        assert_eq!(both.of_organization("b"), None);
        let whole = both.or(Reach::within("a", RowReach::Whole));
        assert!(whole.reads_whole("a") && !whole.reads_whole("b"));
        assert_eq!(whole.or(Reach::Everything), Reach::Everything);
        assert!(Reach::nothing().is_nothing() && Reach::nothing().or(team.clone()) == team);
    }
}
