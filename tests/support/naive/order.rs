//! The order of a list.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Row;
use super::measures::{MEASURES, numbers};

/// How a list is sorted: by a measure, a time, `name`, or a dimension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) sort: &'static str,
    pub(crate) descending: bool,
}

/// Where an item stands in its list.
pub(super) struct Place {
    unknown: bool,
    number: i128,
    text: String,
    key: String,
}

impl Place {
    pub(super) fn new(
        by: &[&str],
        group: &[Option<String>],
        rows: &[&Row],
        item: &Value,
        order: Order,
    ) -> Self {
        let (mut number, mut text) = (None, None);
        let micros =
            |time: Option<DateTime<Utc>>| time.map(|time| i128::from(time.timestamp_micros()));
        match order.sort {
            "name" => text = item["name"].as_str().map(str::to_owned),
            "first_event_time" => number = micros(rows.iter().map(|row| row.time).min()),
            "last_event_time" => number = micros(rows.iter().map(|row| row.time).max()),
            measure if MEASURES.contains(&measure) => number = numbers(rows)[measure],
            dimension => {
                let place = by.iter().position(|one| *one == dimension).expect("grouped by it");
                text.clone_from(&group[place]);
            }
        }
        let key = group.iter().map(|id| match id {
            None => "~".to_owned(),
            Some(id) => format!("{}:{id}", id.len()),
        });
        Self {
            unknown: number.is_none() && text.is_none(),
            number: number.unwrap_or(0),
            text: text.unwrap_or_default(),
            key: key.collect(),
        }
    }

    /// What is unknown comes last either way, and ties rise by the key.
    pub(super) fn cmp(&self, other: &Self, descending: bool) -> Ordering {
        let known = (self.number, &self.text).cmp(&(other.number, &other.text));
        let known = if descending { known.reverse() } else { known };
        self.unknown.cmp(&other.unknown).then(known).then_with(|| self.key.cmp(&other.key))
    }
}
