//! One user beside the active users of the organization.

use std::collections::HashMap;
use std::sync::Arc;

use super::Queries;
use super::measures::{Measures, Row};
use super::ratio::{average_money, ratio};
use crate::error::Result;
use crate::flush::View;
use crate::model::Money;
use crate::rollup::{DateBucket, Dimension, UsageFilter};

/// Where a user stands. A user is active who has events in the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What the user used.
    pub user: Measures,
    /// Active users of the organization, this one included if active.
    pub active_users: i64,
    /// Known cost per active user, half-even at twelve digits; `None` without
    /// active users or any known cost.
    pub average_cost: Option<Money>,
    /// Tokens per active user, six digits.
    pub average_tokens: Option<String>,
    /// Conversations per active user, six digits.
    pub average_conversations: Option<String>,
    /// Events per active user, six digits.
    pub average_events: Option<String>,
    /// 1 is the most expensive user, ties share the smaller rank; `None` when
    /// the user is not active or the cost is unknown.
    pub rank: Option<i64>,
    /// The part of the active users that cost no more than this one, itself
    /// included, six digits; `None` like `rank`.
    pub percentile: Option<String>,
}

impl Queries {
    /// Compares `user_id` with the users of the one organization that
    /// `filter` names; the filter itself names no user.
    pub async fn compare_org(
        &self,
        view: &Arc<View>,
        filter: &UsageFilter,
        user_id: &str,
    ) -> Result<Comparison> {
        let usage = self.usage(view, filter, &[Dimension::User], DateBucket::Day).await?;
        let mut user = Measures::nothing();
        for row in Row::all(&usage) {
            if row.text("user_id")? == Some(user_id) {
                user = Measures::read(row)?;
            }
        }
        let parameters = HashMap::from([("user_id".to_owned(), user_id.into())]);
        let rows = self.compare.run(HashMap::from([("usage", usage)]), &[], parameters).await?;
        let row = Row::first(&rows)?;
        let active_users = row.count("active_users")?;
        let average = |name| {
            let sum = row.count(name)?;
            Ok(ratio(i128::from(sum), i128::from(active_users)))
        };
        let no_dearer = row.long("no_dearer_users")?;
        Ok(Comparison {
            user,
            active_users,
            average_cost: row.money("total_cost")?.and_then(|sum| average_money(sum, active_users)),
            average_tokens: average("total_tokens")?,
            average_conversations: average("total_conversations")?,
            average_events: average("total_events")?,
            rank: row.long("dearer_users")?.map(|dearer| dearer + 1),
            percentile: no_dearer
                .and_then(|users| ratio(i128::from(users), i128::from(active_users))),
        })
    }
}
