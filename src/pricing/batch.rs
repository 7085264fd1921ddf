//! Price lists as a table for SQL.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use chrono::NaiveDate;

use super::PriceBook;
use super::percent::Percent;
use super::rates::Rates;
use super::row::{CHARGED_COLUMNS, Charge, PriceRow, RATE_COLUMNS, Scope};
use crate::error::{Context, Result};

/// A list and whether events are priced by it now.
#[derive(Debug, Clone, Copy)]
pub struct ListedBook<'a> {
    /// The list.
    pub book: &'a PriceBook,
    /// Whether it is the active one.
    pub is_active: bool,
}

/// The columns of the SQL table `model_prices`. Prices are decimal(18,12) US
/// dollars per million tokens, percentages decimal(12,6); null is what a row
/// does not state. Both ids null: the row is for everybody.
pub fn model_prices_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
        let date = |name| Field::new(name, DataType::Date32, true);
        let percent = |name| Field::new(name, DataType::Decimal128(12, 6), true);
        let money = |name: &&str| Field::new(*name, DataType::Decimal128(18, 12), true);
        let mut fields = vec![
            text("price_version", false),
            Field::new("active", DataType::Boolean, false),
            text("organization_id", true),
            text("api_key_id", true),
            text("provider", false),
            text("model_name", false),
            date("valid_from"),
            date("valid_to"),
        ];
        fields.extend(RATE_COLUMNS.iter().map(money));
        fields.extend([percent("discount_percent"), percent("markup_percent")]);
        fields.extend(CHARGED_COLUMNS.iter().map(money));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// The rows of all `books`, a list after the other, each sorted by scope,
/// provider, model and start of validity.
pub fn model_prices(books: &[ListedBook<'_>]) -> Result<RecordBatch> {
    let rows: Vec<(&ListedBook<'_>, &PriceRow)> = books
        .iter()
        .flat_map(|listed| listed.book.rows.iter().map(move |row| (listed, row)))
        .collect();
    let text = |pick: &dyn Fn(&PriceRow) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, row)| pick(row)).collect::<StringArray>())
    };
    let versions = rows.iter().map(|(listed, _)| listed.book.version());
    let active = rows.iter().map(|(listed, _)| Some(listed.is_active));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(versions)),
        Arc::new(active.collect::<BooleanArray>()),
        text(&|row| organization_id(&row.scope)),
        text(&|row| api_key_id(&row.scope)),
        text(&|row| Some(row.provider.clone())),
        text(&|row| Some(row.model.clone())),
        dates(rows.iter().map(|(_, row)| row.valid_from)),
        dates(rows.iter().map(|(_, row)| row.valid_to)),
    ];
    for class in 0..RATE_COLUMNS.len() {
        columns.push(decimals(rows.iter().map(|(_, row)| row.rates.classes()[class]), 18, 12)?);
    }
    columns.push(decimals(rows.iter().map(|(_, row)| row.discount.map(Percent::micros)), 12, 6)?);
    columns.push(decimals(rows.iter().map(|(_, row)| markup(row).map(Percent::micros)), 12, 6)?);
    for class in 0..CHARGED_COLUMNS.len() {
        let rates = rows.iter().map(|(_, row)| own_rates(row)?.classes()[class]);
        columns.push(decimals(rates, 18, 12)?);
    }
    RecordBatch::try_new(model_prices_schema(), columns).internal("building model_prices")
}

fn organization_id(scope: &Scope) -> Option<String> {
    match scope {
        Scope::Global => None,
        Scope::Organization(id) => Some(id.clone()),
        Scope::ApiKey { organization_id, .. } => Some(organization_id.clone()),
    }
}

fn api_key_id(scope: &Scope) -> Option<String> {
    match scope {
        Scope::ApiKey { api_key_id, .. } => Some(api_key_id.clone()),
        _ => None,
    }
}

fn markup(row: &PriceRow) -> Option<Percent> {
    match row.charge {
        Some(Charge::Markup(markup)) => Some(markup),
        _ => None,
    }
}

fn own_rates(row: &PriceRow) -> Option<&Rates> {
    match &row.charge {
        Some(Charge::Own(rates)) => Some(rates),
        _ => None,
    }
}

fn decimals(
    values: impl Iterator<Item = Option<i128>>,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef> {
    let values = values.collect::<Decimal128Array>();
    let values = values.with_precision_and_scale(precision, scale);
    Ok(Arc::new(values.internal("building model_prices")?))
}

fn dates(days: impl Iterator<Item = Option<NaiveDate>>) -> ArrayRef {
    Arc::new(days.map(|day| day.map(Date32Type::from_naive_date)).collect::<Date32Array>())
}
