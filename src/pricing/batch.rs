//! A price list as a table for SQL.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef};
use chrono::NaiveDate;

use super::{PriceBook, Rates};
use crate::error::{Context, Result};

/// The columns of the SQL table `model_prices`: prices are decimal(18,12)
/// US dollars per million tokens, null where a class is not priced separately.
pub fn model_prices_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let date = |name| Field::new(name, DataType::Date32, true);
        let money = |name| Field::new(name, DataType::Decimal128(18, 12), true);
        Arc::new(Schema::new(vec![
            text("price_version"),
            text("provider"),
            text("model_name"),
            date("valid_from"),
            date("valid_to"),
            money("input_usd_per_mtok"),
            money("cache_read_usd_per_mtok"),
            money("cache_write_usd_per_mtok"),
            money("cache_write_1h_usd_per_mtok"),
            money("output_usd_per_mtok"),
            money("reasoning_usd_per_mtok"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

impl PriceBook {
    /// The whole list in the columns of [`model_prices_schema`], sorted by
    /// provider, model and start of validity.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let rows = &self.rows;
        let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
        let columns = vec![
            text(vec![self.version(); rows.len()]),
            text(rows.iter().map(|row| row.provider.as_str()).collect()),
            text(rows.iter().map(|row| row.model.as_str()).collect()),
            dates(rows.iter().map(|row| row.valid_from)),
            dates(rows.iter().map(|row| row.valid_to)),
            self.rates(|rates| rates.input)?,
            self.rates(|rates| rates.cache_read)?,
            self.rates(|rates| rates.cache_write)?,
            self.rates(|rates| rates.cache_write_1h)?,
            self.rates(|rates| rates.output)?,
            self.rates(|rates| rates.reasoning)?,
        ];
        RecordBatch::try_new(model_prices_schema(), columns).internal("building model_prices")
    }

    fn rates(&self, pick: fn(&Rates) -> Option<i128>) -> Result<ArrayRef> {
        let picos = self.rows.iter().map(|row| pick(&row.rates)).collect::<Decimal128Array>();
        let picos = picos.with_precision_and_scale(18, 12).internal("building model_prices")?;
        Ok(Arc::new(picos))
    }
}

fn dates(days: impl Iterator<Item = Option<NaiveDate>>) -> ArrayRef {
    Arc::new(days.map(|day| day.map(Date32Type::from_naive_date)).collect::<Date32Array>())
}
