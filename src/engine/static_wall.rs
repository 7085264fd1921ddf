//! The tenant wall of the tables that are held in memory: the directory's and
//! the price list. A caller's session gets copies that hold its rows only.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{filter_record_batch, take_arrays};
use datafusion::error::{DataFusionError, Result};

use super::StaticTable;
use super::wall::{ORGANIZATION, Owners};
use crate::access::{Reach, RowReach};

/// Which rows of a table in memory somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Those of organizations in which it sees anything at all.
    SomethingOf,
    /// Those that these columns make its own, the teams of its departments
    /// being its own too.
    Owned(Owners),
    /// As before, and the members of its teams being its own too.
    OwnedWithMembers(Owners),
    /// Those without an organization, and those of whole organizations.
    SharedOrWhole,
}

/// A line for every table; one without is refused by [`has_rule`].
const RULES: [(&str, Rule); 7] = [
    ("organizations", Rule::SomethingOf),
    ("departments", owned(None, Some("id"), None)),
    ("teams", owned(Some("id"), Some("department"), None)),
    ("users", Rule::OwnedWithMembers(Owners { team: None, department: None, user: Some("id") })),
    ("api_keys", owned(Some("team_id"), None, Some("owner_user_id"))),
    ("memberships", owned(Some("team_id"), None, Some("user_id"))),
    ("model_prices", Rule::SharedOrWhole),
];

const fn owned(
    team: Option<&'static str>,
    department: Option<&'static str>,
    user: Option<&'static str>,
) -> Rule {
    Rule::Owned(Owners { team, department, user })
}

/// Whether it is decided who sees which rows of the table `name`.
pub(super) fn has_rule(name: &str) -> bool {
    RULES.iter().any(|(known, _)| *known == name)
}

/// The rows of `table` within `reach`. `others` are all tables in memory:
/// who is in which team stands there.
pub(super) fn within(
    reach: &Reach,
    table: &StaticTable,
    others: &[StaticTable],
) -> Result<RecordBatch> {
    let Reach::Within(organizations) = reach else { return Ok(table.batch.clone()) };
    let Some((_, rule)) = RULES.iter().find(|(name, _)| *name == table.name) else {
        let name = &table.name;
        return Err(DataFusionError::Internal(format!("nobody decided who sees table {name}")));
    };
    let keep = match rule {
        Rule::SomethingOf => judge(&table.batch, &Owners::ORGANIZATION, |id, _| {
            Some(organizations.contains_key(id?))
        }),
        Rule::Owned(owners) => {
            let organizations = with_teams_of_departments(organizations, others)?;
            judge(&table.batch, owners, |id, owner| holds(&organizations, id, owner))
        }
        Rule::OwnedWithMembers(owners) => {
            let organizations = with_teams_of_departments(organizations, others)?;
            let organizations = with_members(&organizations, others)?;
            judge(&table.batch, owners, |id, owner| holds(&organizations, id, owner))
        }
        Rule::SharedOrWhole => judge(&table.batch, &Owners::ORGANIZATION, |id, _| {
            Some(id.is_none_or(|id| organizations.get(id) == Some(&RowReach::Whole)))
        }),
    };
    without_room(&filter_record_batch(&table.batch, &keep?)?)
}

/// The same rows, with no room left in memory for those that are not among them:
/// statistics say how many bytes a table has.
fn without_room(rows: &RecordBatch) -> Result<RecordBatch> {
    let alone = UInt64Array::from_iter_values(0..rows.num_rows() as u64);
    let mut columns = take_arrays(rows.columns(), &alone, None)?;
    for column in &mut columns {
        column.shrink_to_fit();
    }
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

type Organizations = BTreeMap<String, RowReach>;

/// The values of a row that tell whose it is: team, department, user.
type Owner<'a> = [Option<&'a str>; 3];

fn holds(organizations: &Organizations, id: Option<&str>, owner: Owner<'_>) -> Option<bool> {
    let [team_id, department, user_id] = owner;
    Some(organizations.get(id?)?.holds(team_id, department, user_id))
}

/// What `verdict` says of each row; `None` is no.
fn judge(
    batch: &RecordBatch,
    owners: &Owners,
    verdict: impl Fn(Option<&str>, Owner<'_>) -> Option<bool>,
) -> Result<BooleanArray> {
    let organizations = texts(batch, ORGANIZATION)?;
    let columns = [owners.team, owners.department, owners.user];
    let columns = columns.map(|name| name.map(|name| texts(batch, name)).transpose());
    let [teams, departments, users] = columns;
    let columns = [teams?, departments?, users?];
    let rows = (0..batch.num_rows()).map(|row| {
        let owner = columns.map(|column| value(column?, row));
        verdict(value(organizations, row), owner).unwrap_or(false)
    });
    Ok(rows.map(Some).collect())
}

fn value(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| DataFusionError::Internal(format!("column {name} is no text")))
}

/// The columns `names` of the table in memory called `table`, row by row;
/// nothing where there is no such table.
fn rows_of<'a, const N: usize>(
    table: &str,
    names: [&str; N],
    tables: &'a [StaticTable],
) -> Result<Vec<[Option<&'a str>; N]>> {
    let Some(table) = tables.iter().find(|one| one.name == table) else { return Ok(Vec::new()) };
    let columns = names.iter().map(|name| texts(&table.batch, name)).collect::<Result<Vec<_>>>()?;
    let row = |row| std::array::from_fn(|at| value(columns[at], row));
    Ok((0..table.batch.num_rows()).map(row).collect())
}

/// Adds to each organization's teams those of its departments.
fn with_teams_of_departments(
    organizations: &Organizations,
    tables: &[StaticTable],
) -> Result<Organizations> {
    let mut more = organizations.clone();
    for row in rows_of("teams", [ORGANIZATION, "department", "id"], tables)? {
        let [Some(organization_id), Some(department), Some(team_id)] = row else { continue };
        if let Some(RowReach::Parts { team_ids, departments, .. }) = more.get_mut(organization_id)
            && departments.contains(department)
        {
            team_ids.insert(team_id.to_owned());
        }
    }
    Ok(more)
}

/// Adds to each organization's users whoever is or was in one of its teams.
fn with_members(organizations: &Organizations, tables: &[StaticTable]) -> Result<Organizations> {
    let mut more = organizations.clone();
    for row in rows_of("memberships", [ORGANIZATION, "team_id", "user_id"], tables)? {
        let [Some(organization_id), Some(team_id), Some(user_id)] = row else { continue };
        if let Some(RowReach::Parts { team_ids, user_ids, .. }) = more.get_mut(organization_id)
            && team_ids.contains(team_id)
        {
            user_ids.insert(user_id.to_owned());
        }
    }
    Ok(more)
}
