//! One question to the daily aggregates: which rows, grouped by what.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::NaiveDate;

use crate::access::Reach;

/// What usage can be grouped and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// `usage_date`, cut to the request's [`DateBucket`].
    Date,
    /// `organization_id`
    Organization,
    /// `team_id`
    Team,
    /// `department`
    Department,
    /// `user_id`
    User,
    /// `api_key_id`
    ApiKey,
    /// `provider`
    Provider,
    /// `model_name`
    Model,
    /// `status`
    Status,
    /// `conversation_id`
    Conversation,
}

impl Dimension {
    /// Every dimension, in the order of the columns of [`usage_schema`].
    pub const ALL: [Self; 10] = [
        Self::Date,
        Self::Organization,
        Self::Team,
        Self::Department,
        Self::User,
        Self::ApiKey,
        Self::Provider,
        Self::Model,
        Self::Status,
        Self::Conversation,
    ];

    /// The column that holds it.
    pub fn column(self) -> &'static str {
        match self {
            Self::Date => "usage_date",
            Self::Organization => "organization_id",
            Self::Team => "team_id",
            Self::Department => "department",
            Self::User => "user_id",
            Self::ApiKey => "api_key_id",
            Self::Provider => "provider",
            Self::Model => "model_name",
            Self::Status => "status",
            Self::Conversation => "conversation_id",
        }
    }
}

/// How wide one step of the date dimension is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateBucket {
    /// One local date.
    #[default]
    Day,
    /// Monday to Sunday, named by its Monday.
    Week,
    /// A calendar month, named by its first day.
    Month,
}

/// Which rows count: of those within `reach`, those that the lists accept. An
/// empty list does not restrict; several values of one list are alternatives;
/// the lists restrict together.
///
/// There is no default, so that nobody forgets to say for whom a question is
/// asked: every measure, count, time and share is of rows within the reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsageFilter {
    /// Whose rows there are at all for whoever asks.
    pub reach: Reach,
    /// First local date, inclusive.
    pub date_from: NaiveDate,
    /// Last local date, inclusive.
    pub date_to: NaiveDate,
    pub organization_ids: Vec<String>,
    pub team_ids: Vec<String>,
    pub departments: Vec<String>,
    pub user_ids: Vec<String>,
    pub api_key_ids: Vec<String>,
    pub providers: Vec<String>,
    pub models: Vec<String>,
    pub statuses: Vec<String>,
    pub conversation_ids: Vec<String>,
}

impl UsageFilter {
    /// Every row of `reach`.
    pub fn all(reach: Reach) -> Self {
        Self {
            reach,
            date_from: NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or_default(),
            date_to: NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or_default(),
            organization_ids: Vec::new(),
            team_ids: Vec::new(),
            departments: Vec::new(),
            user_ids: Vec::new(),
            api_key_ids: Vec::new(),
            providers: Vec::new(),
            models: Vec::new(),
            statuses: Vec::new(),
            conversation_ids: Vec::new(),
        }
    }
}

/// One question to the daily aggregates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsageRequest {
    pub filter: UsageFilter,
    /// Dimensions to group by; none asks for one row over everything. A
    /// dimension is listed once; the order does not matter.
    pub group_by: Vec<Dimension>,
    pub date_bucket: DateBucket,
}

/// The answer's columns. Dimensions that were not asked for are null.
///
/// `actual_api_cost` and `total_cost` are null when no event of the group has
/// one; `profit_amount` sums charged minus actual over the events that have
/// both. A conversation and a user belong to an organization: the counts are
/// of distinct (organization, id) pairs, nulls and those whose every event
/// was reversed not counted.
/// `latest_status` is the status of the latest event (ties: the greatest
/// word), `latest_topic` the topic of the latest event that has one (ties:
/// the greatest topic). An ungrouped request always answers one row, a
/// grouped one only groups that have rows.
pub fn usage_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields: Vec<Field> = Dimension::ALL
            .iter()
            .map(|dimension| match dimension {
                Dimension::Date => Field::new("usage_date", DataType::Date32, true),
                other => Field::new(other.column(), DataType::Utf8, true),
            })
            .collect();
        let long = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
        let money = |name: &str| Field::new(name, DataType::Decimal128(38, 12), true);
        let time = |name: &str| {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            Field::new(name, utc, true)
        };
        fields.extend([
            long("total_events", false),
            long("total_conversations", false),
            long("total_users", false),
            long("total_tokens", false),
            long("input_tokens", false),
            long("cache_read_tokens", false),
            long("cache_write_tokens", false),
            long("cache_write_1h_tokens", false),
            long("output_tokens", false),
            long("reasoning_tokens", false),
            money("total_cost"),
            money("actual_api_cost"),
            money("profit_amount"),
            long("unpriced_events", false),
            long("failed_events", false),
            long("duration_ms", true),
            time("first_event_time"),
            time("last_event_time"),
            Field::new("latest_status", DataType::Utf8, true),
            Field::new("latest_topic", DataType::Utf8, true),
        ]);
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}
