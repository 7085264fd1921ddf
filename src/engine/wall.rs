//! The tenant wall: which rows of a table a [`Reach`] holds, as a filter.
//!
//! Every table says which of its columns tell whose a row is ([`Owners`]);
//! the filter follows from these and from nothing else. A table without such
//! a line does not compile, and a row that matches no line is not seen.

use std::collections::BTreeSet;

use datafusion::common::Column;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::disjunction;
use datafusion::prelude::lit;

use crate::access::{Reach, RowReach};

/// The column that every table of ours has.
pub(super) const ORGANIZATION: &str = "organization_id";

/// The columns that tell whose a row is within its organization. What is
/// `None` is never matched, so a table that names no column shows its rows to
/// those only who read the whole organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owners {
    pub(super) team: Option<&'static str>,
    pub(super) department: Option<&'static str>,
    pub(super) user: Option<&'static str>,
}

impl Owners {
    /// Rows that an event's attribution is on.
    pub(super) const ATTRIBUTED: Self =
        Self { team: Some("team_id"), department: Some("department"), user: Some("user_id") };
    /// Rows of a user, of no team or department.
    pub(super) const USER: Self = Self { team: None, department: None, user: Some("user_id") };
    /// Rows of an organization as a whole.
    pub(super) const ORGANIZATION: Self = Self { team: None, department: None, user: None };
}

/// The rows of a table that are within `reach`: `None` for all of them. The
/// filter compares columns with texts and nothing else, so it cannot fail. A
/// row without an organization is within [`Reach::Everything`] only.
pub(super) fn tenant_filter(reach: &Reach, owners: &Owners) -> Option<Expr> {
    let Reach::Within(organizations) = reach else { return None };
    let whole: BTreeSet<String> = organizations
        .iter()
        .filter(|(_, rows)| **rows == RowReach::Whole)
        .map(|(organization_id, _)| organization_id.clone())
        .collect();
    let parts = organizations.iter().filter_map(|(organization_id, rows)| {
        let RowReach::Parts { team_ids, departments, user_ids } = rows else { return None };
        let owned = [
            among(owners.team, team_ids),
            among(owners.department, departments),
            among(owners.user, user_ids),
        ];
        let owned = disjunction(owned.into_iter().flatten())?;
        Some(column(ORGANIZATION).eq(lit(organization_id.as_str())).and(owned))
    });
    let any = among(Some(ORGANIZATION), &whole).into_iter().chain(parts);
    Some(disjunction(any).unwrap_or_else(|| lit(false)))
}

fn among(name: Option<&str>, ids: &BTreeSet<String>) -> Option<Expr> {
    let column = column(name?);
    match ids.len() {
        0 => None,
        1 => ids.first().map(|id| column.eq(lit(id.as_str()))),
        _ => Some(column.in_list(ids.iter().map(|id| lit(id.as_str())).collect(), false)),
    }
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}
