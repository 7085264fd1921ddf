//! What everybody used, as facts from which the rows of every table follow,
//! and what somebody may not know, replaced by something else.

use std::collections::BTreeSet;

use rand::Rng;
use rand::rngs::StdRng;

use crate::access::{Reach, RowReach};

/// One row of any table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fact {
    pub organization: Option<String>,
    pub team: Option<String>,
    pub department: Option<String>,
    pub user: Option<String>,
    /// What texts of the row say.
    pub word: String,
    /// What its numbers are made of.
    pub number: i64,
    pub day: i64,
    /// Which file of the day; the last one but one is not covered by the
    /// aggregate, the last one stands for the hot rows.
    pub file: usize,
    /// Which part of that file, a file of its own.
    pub part: usize,
    pub reversal: bool,
}

/// Files of a day, the hot rows among them.
pub(super) const FILES: usize = 4;
pub(super) const UNCOVERED: usize = 2;
pub(super) const HOT: usize = 3;
pub(super) const DAYS: i64 = 3;

/// In what a lake differs: what it holds instead of rows beyond the reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Rows marked by `leak-a`.
    First,
    /// Rows marked by `leak-b`: far more of some, in more files, none of
    /// others, other values.
    Second,
    /// None.
    Nobody,
}

/// How many rows stand for each of three in [`Others::Second`].
const COPIES: [i64; 3] = [0, 3, 9];
const COPIES_OF_PART: i64 = 3;

/// More than there are parts before rows are replaced.
const PARTS: usize = 10;

/// The mark that no answer may hold.
pub(super) const MARK: &str = "leak-";

fn pick(random: &mut StdRng, kind: &str, organization: usize, count: usize) -> Option<String> {
    let which = random.random_range(0..=count);
    (which < count).then(|| format!("{kind}-{organization}-{which}"))
}

fn word(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        // Some texts are numbers, so that casts succeed here and there.
        0 => random.random_range(0..40).to_string(),
        _ => format!("word {}", random.random_range(0..12)),
    }
}

/// What happened, over four organizations.
pub(super) fn events(random: &mut StdRng, count: usize) -> Vec<Fact> {
    let mut facts: Vec<Fact> = (0..count)
        .map(|_| {
            let organization = random.random_range(0..4);
            Fact {
                organization: Some(format!("org-{organization}")),
                team: pick(random, "team", organization, 3),
                department: pick(random, "department", organization, 2),
                user: pick(random, "user", organization, 4),
                word: word(random),
                number: random.random_range(0..60),
                day: random.random_range(0..DAYS),
                file: random.random_range(0..FILES),
                part: 0,
                reversal: random.random_range(0..8) == 0,
            }
        })
        .collect();
    // Files are sorted by organization, like those of compaction.
    facts.sort_by_key(|fact| (fact.day, fact.file, fact.organization.clone()));
    facts
}

/// `facts` with the rows of each organization in files of their own.
pub(super) fn apart(mut facts: Vec<Fact>) -> Vec<Fact> {
    for fact in &mut facts {
        let organization = fact.organization.as_deref().and_then(|id| id.strip_prefix("org-"));
        let number: usize = organization.and_then(|id| id.parse().ok()).expect("org-…");
        fact.part = 1 + number;
    }
    facts
}

/// Some of `facts` as rows that may have no organization.
pub(super) fn some_without_organization(random: &mut StdRng, facts: &[Fact]) -> Vec<Fact> {
    let mut kept: Vec<Fact> =
        facts.iter().filter(|_| random.random_range(0..3) == 0).cloned().collect();
    for fact in &mut kept {
        if random.random_range(0..5) == 0 {
            fact.organization = None;
        }
    }
    kept
}

/// Who belongs where: each user in up to two teams, each team in a department.
pub(super) fn people(random: &mut StdRng) -> Vec<Fact> {
    let mut people = Vec::new();
    for organization in 0..4 {
        for user in 0..4 {
            let mut teams = BTreeSet::new();
            for _ in 0..2 {
                teams.insert(random.random_range(0..3));
            }
            for team in teams {
                people.push(Fact {
                    organization: Some(format!("org-{organization}")),
                    team: Some(format!("team-{organization}-{team}")),
                    department: Some(format!("department-{organization}-{}", team % 2)),
                    user: Some(format!("user-{organization}-{user}")),
                    word: format!("name {user}"),
                    number: user,
                    day: 0,
                    file: 0,
                    part: 0,
                    reversal: false,
                });
            }
        }
    }
    people
}

/// `facts` with those that `seen` refuses replaced.
pub(super) fn replaced(
    facts: &[Fact],
    reach: &Reach,
    others: Others,
    seen: impl Fn(&Fact) -> bool,
) -> Vec<Fact> {
    let mut kept = Vec::new();
    for (at, fact) in facts.iter().enumerate() {
        if seen(fact) {
            kept.push(fact.clone());
            continue;
        }
        let at = i64::try_from(at).expect("small");
        let (mark, number, copies) = match others {
            Others::Nobody => continue,
            Others::First => ("a", 1000 + at % 10, 1),
            Others::Second => {
                ("b", 5000 + at % 10, COPIES[usize::try_from(at % 3).expect("small")])
            }
        };
        for copy in 0..copies {
            let mut one = hidden(fact, reach, &format!("{MARK}{mark}-{at}-{copy}"), number + copy);
            one.part += usize::try_from(copy / COPIES_OF_PART).expect("small") * PARTS;
            kept.push(one);
        }
    }
    kept
}

/// A row in the place of `fact` that is just as far beyond the reach.
fn hidden(fact: &Fact, reach: &Reach, word: &str, number: i64) -> Fact {
    let named = |kind: &str| Some(format!("{word}-{kind}"));
    let organization = fact.organization.clone();
    let organization = organization.map(|id| match reach.of_organization(&id) {
        Some(_) => id,
        None => format!("{word}-organization"),
    });
    Fact {
        organization,
        team: fact.team.as_ref().and_then(|_| named("team")),
        department: named("department"),
        user: fact.user.as_ref().and_then(|_| named("user")),
        word: word.to_owned(),
        number,
        ..fact.clone()
    }
}

/// Which facts somebody sees, told anew: by the words of the documentation.
pub(super) struct Eyes<'a> {
    pub reach: &'a Reach,
    pub people: &'a [Fact],
}

impl Eyes<'_> {
    fn rows(&self, fact: &Fact) -> Option<&RowReach> {
        self.reach.of_organization(fact.organization.as_deref()?)
    }

    pub(super) fn whole(&self, fact: &Fact) -> bool {
        self.rows(fact) == Some(&RowReach::Whole)
    }

    pub(super) fn anything(&self, fact: &Fact) -> bool {
        self.rows(fact).is_some()
    }

    fn among(
        &self,
        fact: &Fact,
        pick: fn(&RowReach) -> Option<&BTreeSet<String>>,
        id: Option<&String>,
    ) -> bool {
        let ids = self.rows(fact).and_then(pick);
        self.whole(fact) || ids.is_some_and(|ids| id.is_some_and(|id| ids.contains(id)))
    }

    fn team(&self, fact: &Fact) -> bool {
        fn teams(rows: &RowReach) -> Option<&BTreeSet<String>> {
            match rows {
                RowReach::Parts { team_ids, .. } => Some(team_ids),
                RowReach::Whole => None,
            }
        }
        self.among(fact, teams, fact.team.as_ref())
    }

    pub(super) fn department(&self, fact: &Fact) -> bool {
        fn departments(rows: &RowReach) -> Option<&BTreeSet<String>> {
            match rows {
                RowReach::Parts { departments, .. } => Some(departments),
                RowReach::Whole => None,
            }
        }
        self.among(fact, departments, fact.department.as_ref())
    }

    pub(super) fn user(&self, fact: &Fact) -> bool {
        fn users(rows: &RowReach) -> Option<&BTreeSet<String>> {
            match rows {
                RowReach::Parts { user_ids, .. } => Some(user_ids),
                RowReach::Whole => None,
            }
        }
        self.among(fact, users, fact.user.as_ref())
    }

    pub(super) fn attributed(&self, fact: &Fact) -> bool {
        self.team(fact) || self.department(fact) || self.user(fact)
    }

    /// A team of a department, as the directory says it.
    pub(super) fn directory_team(&self, fact: &Fact) -> bool {
        self.team(fact) || self.department(fact)
    }

    pub(super) fn membership(&self, fact: &Fact) -> bool {
        self.directory_team(fact) || self.user(fact)
    }

    pub(super) fn directory_user(&self, fact: &Fact) -> bool {
        let same = |one: &&Fact| one.organization == fact.organization && one.user == fact.user;
        self.user(fact) || self.people.iter().filter(same).any(|one| self.directory_team(one))
    }

    pub(super) fn price(&self, fact: &Fact) -> bool {
        fact.organization.is_none() || self.whole(fact)
    }
}
