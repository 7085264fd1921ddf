//! What was booked, as lines that only grow.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

/// What one event says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) time: DateTime<Utc>,
    pub(super) user: String,
    pub(super) model: &'static str,
    pub(super) conversation: String,
    pub(super) input: i64,
    pub(super) output: i64,
}

/// One booked row.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) date: NaiveDate,
    pub(super) team: Option<String>,
    pub(super) content: Content,
    /// Picodollars; actual and charged costs are the same here.
    pub(super) cost: Option<i128>,
    pub(super) sign: i64,
}

/// A stored event: its original content, and the line that counts now.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) original: Content,
    pub(super) current: Option<Line>,
}

/// The two price lists of these tests: whole dollars for a million tokens of
/// any class, so that a token costs as many millionths.
pub(super) const LISTS: [(&str, &str); 2] = [
    (
        "list-1",
        "provider,model,input_usd_per_mtok,output_usd_per_mtok\nopenai,m1,3,3\nopenai,m2,5,5\n",
    ),
    (
        "list-2",
        "provider,model,input_usd_per_mtok,output_usd_per_mtok\nopenai,m2,7,7\nopenai,m3,11,11\n",
    ),
];

pub(super) fn price(list: usize, content: &Content) -> Option<i128> {
    let rate = match (list, content.model) {
        (0, "m1") => 3,
        (0, "m2") => 5,
        (1, "m2") => 7,
        (1, "m3") => 11,
        _ => return None,
    };
    Some(i128::from(content.input + content.output) * rate * 1_000_000)
}

/// Sums of a group: events, input, output, picodollars, unpriced events.
pub(super) type Sums = (i64, i64, i64, i128, i64);
/// Date, team, user, model.
pub(super) type Group = (String, Option<String>, String, String);

/// Groups that add up to something.
pub(super) fn groups(lines: &[Line]) -> BTreeMap<Group, Sums> {
    let mut groups: BTreeMap<Group, Sums> = BTreeMap::new();
    for line in lines {
        let Line { date, team, content, cost, sign } = line;
        let key = (date.to_string(), team.clone(), content.user.clone(), content.model.to_owned());
        let sums = groups.entry(key).or_default();
        sums.0 += sign;
        sums.1 += sign * content.input;
        sums.2 += sign * content.output;
        sums.3 += i128::from(*sign) * cost.unwrap_or(0);
        sums.4 += if cost.is_none() { *sign } else { 0 };
    }
    groups.retain(|_, sums| *sums != Sums::default());
    groups
}

/// Distinct conversations and users of the dates that have an event left.
pub(super) fn distinct(lines: &[Line], from: NaiveDate, to: NaiveDate) -> (usize, usize) {
    let inside: Vec<&Line> =
        lines.iter().filter(|line| from <= line.date && line.date <= to).collect();
    let count = |name: &dyn Fn(&Line) -> String| {
        let mut left: BTreeMap<String, i64> = BTreeMap::new();
        for line in &inside {
            *left.entry(name(line)).or_default() += line.sign;
        }
        left.into_iter()
            .filter(|(_, left)| *left > 0)
            .map(|(name, _)| name)
            .collect::<BTreeSet<_>>()
    };
    let conversations = count(&|line| line.content.conversation.clone());
    let users = count(&|line| line.content.user.clone());
    (conversations.len(), users.len())
}
