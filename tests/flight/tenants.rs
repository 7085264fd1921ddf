//! Two organizations behind the door: whoever may read one of them, or a team,
//! sees nothing of the rest.

use std::sync::Arc;

use arrow_flight::error::FlightError;
use arrow_flight::sql::CommandGetTables;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::door::{Client, Door, rows, sql};
use crate::support::events::lines;
use crate::support::tenants::{OTHER, Statements, TENANTS, Used, usage};

const SEED: u64 = 20_261_128;
const STATEMENTS: usize = 40;

fn shown(batch: RecordBatch) -> String {
    pretty_format_batches(&[batch]).expect("text").to_string()
}

async fn ask(client: &mut Client, text: &str) -> Result<String, FlightError> {
    let info = client.execute(text.to_owned(), None).await?;
    rows(client, info).await.map(shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn analysts_of_two_organizations_see_nothing_of_each_other() {
    let door = Door::open().await;
    let usage = usage(&mut StdRng::seed_from_u64(SEED), 90);
    let events: Vec<_> = usage.iter().map(Used::event).collect();
    door.app.store(lines(&events)).await;
    door.app.app.settle_directory().await;
    for tenant in TENANTS {
        let mut client = door.client(&door.people.analyst(tenant.name, tenant.domain()));
        let own = usage.iter().filter(|used| tenant.sees(used));
        let tokens: i64 = own.map(|used| used.input_tokens).sum();
        let sum = sql(&mut client, "SELECT sum(input_tokens) AS n FROM usage_events").await;
        assert_eq!(sum.column(0).as_primitive::<Int64Type>().value(0), tokens);
        let mut statements = Statements::new(SEED);
        let mut answered = 0;
        for _ in 0..STATEMENTS {
            let text = statements.next();
            let answer = ask(&mut client, &text).await;
            answered += usize::from(answer.is_ok());
            tenant.assert_only_own(&text, &format!("{answer:?}"));
        }
        assert!(answered > STATEMENTS / 2, "{answered} answered");
        let info = client.get_tables(CommandGetTables::default()).await.expect("tables");
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        let stream = client.do_get(ticket).await.expect("a stream");
        let tables: Vec<RecordBatch> = stream.try_collect().await.expect("tables");
        let tables = pretty_format_batches(&tables).expect("text").to_string();
        tenant.assert_only_own("", &tables);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_bound_to_a_statement_reaches_no_other_organization() {
    let door = Door::open().await;
    let usage = usage(&mut StdRng::seed_from_u64(SEED), 60);
    let events: Vec<_> = usage.iter().map(Used::event).collect();
    door.app.store(lines(&events)).await;
    for tenant in TENANTS {
        let mut client = door.client(&door.people.analyst(tenant.name, tenant.domain()));
        let text = "SELECT topic, tags FROM usage_events WHERE organization_id = $1 OR true";
        let mut prepared = client.prepare(text.to_owned(), None).await.expect("prepared");
        let other: ArrayRef = Arc::new(StringArray::from(vec![OTHER]));
        let values = RecordBatch::try_from_iter([("1", other)]).expect("a batch");
        prepared.set_parameters(values).expect("set");
        let info = prepared.execute().await.expect("a ticket");
        let batch = rows(&mut client, info).await.expect("rows");
        assert_eq!(batch.num_rows(), usage.iter().filter(|used| tenant.sees(used)).count());
        tenant.assert_only_own("", &shown(batch));
    }
}
