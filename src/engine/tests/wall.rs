//! The filter at the tables holds exactly the rows that the reach holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use datafusion::common::DFSchema;
use datafusion::execution::context::SessionContext;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::super::wall::{ORGANIZATION, Owners, tenant_filter};
use crate::access::{Reach, RowReach};

fn id() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c]", Just("a' OR 'a' = 'a".to_owned())]
}

fn row_reach() -> impl Strategy<Value = RowReach> {
    let ids = || btree_set(id(), 0..3);
    prop_oneof![
        Just(RowReach::Whole),
        (ids(), ids(), ids()).prop_map(|(team_ids, departments, user_ids)| RowReach::Parts {
            team_ids,
            departments,
            user_ids
        }),
    ]
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![
        1 => Just(Reach::Everything),
        9 => vec((id(), row_reach()), 0..4)
            .prop_map(|rows| Reach::Within(rows.into_iter().collect::<BTreeMap<_, _>>())),
    ]
}

type Row = [Option<String>; 4];

fn owners() -> impl Strategy<Value = Owners> {
    prop_oneof![Just(Owners::ATTRIBUTED), Just(Owners::USER), Just(Owners::ORGANIZATION)]
}

fn holds(reach: &Reach, owners: &Owners, row: &Row) -> bool {
    if *reach == Reach::Everything {
        return true;
    }
    let [organization_id, team_id, department, user_id] = row.each_ref().map(Option::as_deref);
    let Some(rows) = organization_id.and_then(|id| reach.of_organization(id)) else { return false };
    rows.holds(
        owners.team.and(team_id),
        owners.department.and(department),
        owners.user.and(user_id),
    )
}

fn filtered(reach: &Reach, owners: &Owners, rows: &[Row]) -> Vec<bool> {
    let Some(filter) = tenant_filter(reach, owners) else { return vec![true; rows.len()] };
    let names = [ORGANIZATION, "team_id", "department", "user_id"];
    let columns = names.iter().enumerate().map(|(at, name)| {
        let values = rows.iter().map(|row| row[at].clone()).collect::<StringArray>();
        (*name, Arc::new(values) as ArrayRef, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("rows");
    let schema = DFSchema::try_from(batch.schema()).expect("schema");
    let filter = SessionContext::new().create_physical_expr(filter, &schema).expect("a filter");
    let verdicts = filter.evaluate(&batch).expect("no failure").into_array(rows.len());
    let verdicts: BooleanArray = verdicts.expect("verdicts").as_boolean().clone();
    verdicts.iter().map(|verdict| verdict == Some(true)).collect()
}

proptest! {
    #[test]
    fn the_filter_holds_what_the_reach_holds(
        reach in reach(),
        owners in owners(),
        rows in vec([option::of(id()), option::of(id()), option::of(id()), option::of(id())], 1..20),
    ) {
        let expected: Vec<bool> = rows.iter().map(|row| holds(&reach, &owners, row)).collect();
        prop_assert_eq!(filtered(&reach, &owners, &rows), expected);
    }
}

#[test]
fn no_reach_holds_no_row() {
    let row = [Some("a"), None, None, None].map(|value| value.map(str::to_owned));
    assert_eq!(filtered(&Reach::nothing(), &Owners::ATTRIBUTED, &[row]), [false]);
}
