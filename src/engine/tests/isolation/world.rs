//! A lake with every table made of facts, as somebody's rows and others'.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int8Array, Int64Array, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use parquet::file::properties::WriterProperties;

use super::super::super::directory_tables::DirectoryTables;
use super::super::super::{Engine, StaticTable};
use super::super::fixture::{date, engine, write_file_with};
use super::facts::{Eyes, FILES, Fact, HOT, Others, UNCOVERED, replaced};
use crate::access::Reach;
use crate::directory::{Directory, TABLE_NAMES};
use crate::flush::View;
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::{LakeFile, TableSnapshot};
use crate::model::{TABLES, TableSpec};
use crate::pricing::model_prices_schema;

/// What happened, whoever looks.
#[derive(Debug)]
pub(super) struct History {
    pub events: Vec<Fact>,
    /// Rows of tables whose organization may be missing.
    pub loose: Vec<Fact>,
    pub people: Vec<Fact>,
}

/// A lake and the engine over it.
#[derive(Debug)]
pub(super) struct World {
    pub engine: Engine,
    pub view: Arc<View>,
}

/// The lake of `history` in which what is beyond `reach` is `others`, and
/// whose engine computes on so many threads.
pub(super) fn world(
    folder: &Path,
    history: &History,
    reach: &Reach,
    others: Others,
    threads: usize,
) -> World {
    let eyes = Eyes { reach, people: &history.people };
    let of = |facts: &[Fact], seen: &dyn Fn(&Fact) -> bool| replaced(facts, reach, others, seen);
    let events = of(&history.events, &|fact| eyes.attributed(fact));
    let rejected = of(&history.loose, &|fact| eyes.whole(fact));
    let named: Vec<Fact> =
        history.events.iter().filter(|fact| fact.number % 2 == 0).cloned().collect();
    let sightings = of(&named, &|fact| eyes.user(fact));
    let mut engine = engine(folder, |config| config.query_threads_max = threads);
    engine.directory = DirectoryTables::fixed(directory(history, reach, others));
    let prices = of(&history.loose, &|fact| eyes.price(fact));
    let schema = model_prices_schema();
    let batch = batch(&schema, "model_prices", &prices);
    let prices = StaticTable { name: "model_prices".to_owned(), batch };
    engine.set_static_table(prices).expect("a table with a rule");
    let view = Arc::new(view(folder, &events, &rejected, &sightings));
    World { engine, view }
}

fn view(folder: &Path, events: &[Fact], rejected: &[Fact], sightings: &[Fact]) -> View {
    let stored = |at: usize, facts: &[Fact], files: std::ops::Range<usize>| {
        write(&folder.join(TABLES[at].name), &TABLES[at], facts, files)
    };
    let snapshot = |at: usize, files: Vec<LakeFile>| {
        let root = folder.join(TABLES[at].name);
        Arc::new(TableSnapshot { root, version: 1, files })
    };
    let covered = stored(0, events, 0..UNCOVERED);
    let uncovered_files = stored(0, events, UNCOVERED..HOT);
    let files = covered.into_iter().chain(uncovered_files.iter().cloned()).collect();
    let hot = |at: usize, facts: &[Fact], odd: i64| {
        let facts = facts.iter().filter(|fact| fact.file == HOT && fact.day % 2 == odd);
        batch(&(TABLES[at].schema)(), TABLES[at].name, &facts.cloned().collect::<Vec<_>>())
    };
    let mut batches = HotSnapshot::default();
    for odd in 0..2 {
        batches = batches.with(Arc::new(HotBatch {
            sequence: u64::try_from(odd + 1).expect("small"),
            events: hot(0, events, odd),
            rejected: hot(1, rejected, odd),
            sightings: hot(4, sightings, odd),
            recorded_at_micros: 0,
        }));
    }
    View {
        events: snapshot(0, files),
        rejected: snapshot(1, stored(1, rejected, 0..HOT)),
        daily: snapshot(2, stored(2, events, 0..UNCOVERED)),
        provider_costs: snapshot(3, stored(3, rejected, 0..FILES)),
        sightings: snapshot(4, stored(4, sightings, 0..HOT)),
        uncovered_files,
        hot: batches,
        cube: None,
        sequence: 1,
        as_of_micros: 0,
    }
}

/// Writes the rows of `facts` that belong to one of `files`: a file for each
/// day, one of these and part; half of the first parts do not tell their
/// organizations.
fn write(
    root: &Path,
    spec: &TableSpec,
    facts: &[Fact],
    files: std::ops::Range<usize>,
) -> Vec<LakeFile> {
    let mut places: BTreeMap<_, Vec<Fact>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| files.contains(&fact.file)) {
        places.entry((fact.day, fact.file, fact.part)).or_default().push(fact.clone());
    }
    let write = |((day, file, part), rows): ((i64, usize, usize), Vec<Fact>)| {
        let batch = batch(&(spec.schema)(), spec.name, &rows);
        let layout = WriterProperties::builder()
            .set_max_row_group_row_count(Some(16))
            .set_data_page_row_count_limit(4)
            .build();
        let name = format!("part-{file}-{part}");
        let mut one = write_file_with(root, spec, day, &name, &batch, Some(layout));
        let organizations = rows.iter().filter_map(|fact| fact.organization.clone());
        let bounds = organizations.clone().min().zip(organizations.max());
        one.organizations = bounds.filter(|_| file % 2 == 0 || part > 0);
        one
    };
    places.into_iter().map(write).collect()
}

/// The tables of the directory: each row of `people` makes one of each kind.
fn directory(history: &History, reach: &Reach, others: Others) -> Vec<StaticTable> {
    let eyes = Eyes { reach, people: &history.people };
    let empty = Directory::empty().tables().expect("tables");
    let tables = empty.into_iter().map(|(name, batch)| {
        let seen: Box<dyn Fn(&Fact) -> bool> = match name {
            "organizations" => Box::new(|fact| eyes.anything(fact)),
            "departments" => Box::new(|fact| eyes.department(fact)),
            "teams" => Box::new(|fact| eyes.directory_team(fact)),
            "users" => Box::new(|fact| eyes.directory_user(fact)),
            "api_keys" | "memberships" => Box::new(|fact| eyes.membership(fact)),
            _ => panic!("table {name} is not in the model: {TABLE_NAMES:?}"),
        };
        let facts = distinct(name, &history.people);
        let rows = replaced(&facts, reach, others, seen);
        StaticTable { name: name.to_owned(), batch: self::batch(&batch.schema(), name, &rows) }
    });
    tables.collect()
}

/// One fact for each thing that the table `name` holds.
fn distinct(name: &str, people: &[Fact]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = people.to_vec();
    match name {
        "organizations" => {
            facts.dedup_by_key(|fact| fact.organization.clone());
        }
        "departments" => {
            facts.sort_by_key(|fact| (fact.organization.clone(), fact.department.clone()));
            facts.dedup_by_key(|fact| (fact.organization.clone(), fact.department.clone()));
        }
        "teams" => {
            facts.sort_by_key(|fact| (fact.organization.clone(), fact.team.clone()));
            facts.dedup_by_key(|fact| (fact.organization.clone(), fact.team.clone()));
        }
        "users" => facts.dedup_by_key(|fact| (fact.organization.clone(), fact.user.clone())),
        _ => {}
    }
    facts
}

fn text(table: &str, column: &str, fact: &Fact) -> Option<String> {
    let owned = |id: &Option<String>| id.clone();
    let key = || fact.user.as_ref().map(|user| format!("key-{user}"));
    let number = fact.number;
    match (table, column) {
        (_, "organization_id") => owned(&fact.organization),
        ("departments", "id") => owned(&fact.department),
        ("teams", "id") => owned(&fact.team),
        ("users", "id") => owned(&fact.user),
        ("api_keys", "id") | (_, "api_key_id") => key(),
        (_, "team_id") => owned(&fact.team),
        (_, "department" | "default_department") => owned(&fact.department),
        (_, "user_id" | "owner_user_id") => owned(&fact.user),
        (_, "status") => Some(
            ["active", "completed", "failed"][usize::try_from(number % 3).expect("small")]
                .to_owned(),
        ),
        (_, "model_name") => Some(format!("model-{}", number % 4)),
        (_, "provider") => Some(format!("provider-{}", number % 2)),
        (_, "conversation_id") => {
            (number % 5 > 0).then(|| format!("chat {} {}", fact.word, number % 7))
        }
        (_, "topic" | "line_item" | "value") => (number % 4 > 0).then(|| fact.word.clone()),
        _ => Some(fact.word.clone()),
    }
}

fn long(column: &str, fact: &Fact) -> i64 {
    let sign = if fact.reversal { -1 } else { 1 };
    match column {
        "entries" => 1,
        "events" | "unpriced_events" => sign,
        _ => fact.number * sign,
    }
}

fn column(table: &str, field: &Field, facts: &[Fact]) -> ArrayRef {
    let name = field.name().as_str();
    match field.data_type() {
        DataType::Utf8 => {
            let texts = facts.iter().map(|fact| {
                let text = text(table, name, fact);
                if field.is_nullable() { text } else { text.or_else(|| Some(String::new())) }
            });
            Arc::new(texts.collect::<StringArray>())
        }
        DataType::Int64 => {
            Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| long(name, fact))))
        }
        DataType::Int8 => Arc::new(Int8Array::from_iter_values(
            facts.iter().map(|fact| if fact.reversal { -1 } else { 1 }),
        )),
        DataType::Boolean => {
            Arc::new(facts.iter().map(|fact| Some(fact.number % 2 == 0)).collect::<BooleanArray>())
        }
        DataType::Date32 => Arc::new(Date32Array::from_iter_values(
            facts.iter().map(|fact| Date32Type::from_naive_date(date(fact.day))),
        )),
        DataType::Timestamp(_, zone) => {
            let micros = facts.iter().map(|fact| (fact.day * 86_400 + fact.number) * 1_000_000);
            let times = TimestampMicrosecondArray::from_iter_values(micros);
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let unknown = |fact: &Fact| field.is_nullable() && fact.number % 6 == 0;
            let picos = facts
                .iter()
                .map(|fact| (!unknown(fact)).then(|| i128::from(long(name, fact)) * 12_345_678));
            let column = picos.collect::<Decimal128Array>();
            Arc::new(column.with_precision_and_scale(*precision, *scale).expect("a decimal"))
        }
        DataType::Map(_, _) => Arc::new(tags(facts)),
        other => panic!("column {name} of {table} is {other}"),
    }
}

fn tags(facts: &[Fact]) -> arrow::array::MapArray {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut tags = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for fact in facts {
        if fact.number % 3 == 0 {
            tags.append(false).expect("a map");
            continue;
        }
        tags.keys().append_value("project");
        tags.values().append_value(&fact.word);
        tags.keys().append_value("size");
        tags.values().append_value(fact.number.to_string());
        tags.append(true).expect("a map");
    }
    tags.finish()
}

/// The rows of `facts` in the table called `table`.
fn batch(schema: &SchemaRef, table: &str, facts: &[Fact]) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| column(table, field, facts));
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).expect("rows that fit")
}

/// The schema of the table in `world` that SQL calls `name`.
pub(super) async fn schema_of(world: &World, name: &str) -> Schema {
    let operator = crate::access::Principal::operator();
    let text = format!("SELECT * FROM {name}");
    let stream = world.engine.sql(Arc::clone(&world.view), &operator, &text.as_str().into()).await;
    stream.expect(name).schema().as_ref().clone()
}
