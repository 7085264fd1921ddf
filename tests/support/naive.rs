//! The engine's answers computed the slow and obvious way: loops over a list
//! of events, money as whole picodollars. Shares no code with the engine.

mod measures;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Days, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

pub(crate) use measures::{MEASURES, divide, money_text};
use measures::{measures, numbers, ratio, whole_number, wire};
pub(crate) use order::Order;
use order::Place;

/// Dimensions by their names in `group_by`, and their fields in an item.
pub(crate) const DIMENSIONS: [(&str, &str); 10] = [
    ("date", "date"),
    ("organization", "organization_id"),
    ("team", "team_id"),
    ("department", "department"),
    ("user", "user_id"),
    ("api_key", "api_key_id"),
    ("provider", "provider"),
    ("model", "model_name"),
    ("status", "status"),
    ("conversation", "conversation_id"),
];

/// One stored event. Tokens are input, cache read, cache write, one-hour cache
/// write, output, and reasoning as a part of output; costs are picodollars.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) event_id: String,
    pub(crate) source: String,
    pub(crate) time: DateTime<Utc>,
    pub(crate) date: NaiveDate,
    pub(crate) organization: String,
    pub(crate) team: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) conversation: Option<String>,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) status: String,
    pub(crate) topic: Option<String>,
    pub(crate) tokens: [i64; 6],
    pub(crate) actual: Option<i128>,
    pub(crate) charged: Option<i128>,
    pub(crate) cost_source: &'static str,
    pub(crate) price_version: Option<&'static str>,
    pub(crate) duration_ms: Option<i64>,
}

impl Row {
    fn value(&self, dimension: &str) -> Option<String> {
        match dimension {
            "date" => Some(self.date.to_string()),
            "organization" => Some(self.organization.clone()),
            "team" => self.team.clone(),
            "department" => self.department.clone(),
            "user" => self.user.clone(),
            "api_key" => self.api_key.clone(),
            "provider" => Some(self.provider.clone()),
            "model" => Some(self.model.clone()),
            "status" => Some(self.status.clone()),
            "conversation" => self.conversation.clone(),
            other => panic!("no dimension {other}"),
        }
    }
}

/// Which events count: dates inclusive; any value of a dimension, every
/// dimension.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
    pub(crate) values: Vec<(&'static str, Vec<String>)>,
}

impl Filter {
    fn matches(&self, row: &Row) -> bool {
        let one_of = |(dimension, values): &(&str, Vec<String>)| {
            row.value(dimension).is_some_and(|value| values.contains(&value))
        };
        self.from <= row.date && row.date <= self.to && self.values.iter().all(one_of)
    }

    /// The same over the equally many days before.
    fn before(&self) -> Self {
        let days = (self.to - self.from).num_days() + 1;
        let days = Days::new(days.unsigned_abs());
        Self { from: self.from - days, to: self.from - Days::new(1), ..self.clone() }
    }
}

/// Everything that was acknowledged, and the names that the directory has.
#[derive(Debug, Default)]
pub(crate) struct Naive {
    pub(crate) rows: Vec<Row>,
    /// Names by dimension and id.
    pub(crate) names: BTreeMap<(&'static str, String), String>,
}

impl Naive {
    fn matching(&self, filter: &Filter) -> Vec<&Row> {
        self.rows.iter().filter(|row| filter.matches(row)).collect()
    }

    /// The organizations in which a dimension has this value, in order.
    pub(crate) fn organizations_of(&self, dimension: &str, id: &str) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.value(dimension).as_deref() == Some(id));
        let organizations: BTreeSet<String> = rows.map(|row| row.organization.clone()).collect();
        organizations.into_iter().collect()
    }

    /// A summary, without `as_of`.
    pub(crate) fn summary(&self, filter: &Filter) -> Value {
        let before = filter.before();
        let mut previous = measures(&self.matching(&before));
        add_dates(&mut previous, &before);
        let mut summary = measures(&self.matching(filter));
        add_dates(&mut summary, filter);
        summary.insert("previous".to_owned(), previous.into());
        summary.into()
    }

    /// Trends, without `as_of`.
    pub(crate) fn trends(&self, filter: &Filter, interval: &str) -> Value {
        let rows = self.matching(filter);
        let mut steps: BTreeMap<NaiveDate, Vec<&Row>> = BTreeMap::new();
        for day in filter.from.iter_days().take_while(|day| *day <= filter.to) {
            steps.entry(step_of(day, interval)).or_default();
        }
        for row in &rows {
            steps.get_mut(&step_of(row.date, interval)).expect("a step of the range").push(row);
        }
        let items = steps.into_iter().map(|(date, rows)| {
            let mut item = measures(&rows);
            item.insert("date".to_owned(), date.to_string().into());
            Value::from(item)
        });
        let items: Value = items.collect();
        let mut trends = whole(&rows, filter);
        trends.insert("interval".to_owned(), interval.into());
        trends.insert("items".to_owned(), items);
        trends.into()
    }

    /// A list's items in order, and what every page says beside them.
    pub(crate) fn list(
        &self,
        filter: &Filter,
        by: &[&'static str],
        order: Order,
    ) -> (Vec<Value>, Value) {
        let rows = self.matching(filter);
        let mut groups: BTreeMap<Vec<Option<String>>, Vec<&Row>> = BTreeMap::new();
        for row in &rows {
            let group = by.iter().map(|dimension| row.value(dimension)).collect();
            groups.entry(group).or_default().push(row);
        }
        let total = numbers(&rows)["total_cost"];
        let mut items: Vec<(Place, Value)> = groups
            .into_iter()
            .map(|(group, rows)| {
                let item = self.item(by, &group, &rows, total);
                (Place::new(by, &group, &rows, &item, order), item)
            })
            .collect();
        items.sort_by(|(one, _), (other, _)| one.cmp(other, order.descending));
        (items.into_iter().map(|(_, item)| item).collect(), whole(&rows, filter).into())
    }

    fn item(
        &self,
        by: &[&'static str],
        group: &[Option<String>],
        rows: &[&Row],
        total: Option<i128>,
    ) -> Value {
        let numbers = numbers(rows);
        let mut item = wire(&numbers);
        let mut names = Vec::new();
        for (dimension, id) in by.iter().zip(group) {
            item.insert(field_of(dimension).to_owned(), json!(id));
            names.push(self.name(dimension, id.as_deref()));
        }
        let share = match (numbers["total_cost"], total) {
            (Some(part), Some(total)) => ratio(part, total),
            _ => None,
        };
        item.insert("name".to_owned(), names.join(" / ").into());
        item.insert("share".to_owned(), json!(share));
        if by.contains(&"conversation") {
            let times = || rows.iter().map(|row| row.time);
            let latest = rows.iter().map(|row| (row.time, row.status.as_str())).max();
            let topic = rows.iter().filter_map(|row| Some((row.time, row.topic.clone()?))).max();
            item.insert("topic".to_owned(), json!(topic.map(|(_, topic)| topic)));
            item.insert("first_event_time".to_owned(), json!(times().min().map(time_text)));
            item.insert("last_event_time".to_owned(), json!(times().max().map(time_text)));
            if !by.contains(&"status") {
                item.insert("status".to_owned(), json!(latest.map(|(_, status)| status)));
            }
        }
        item.into()
    }

    /// What an answer calls a value: an organization that nobody named by its
    /// last digits, anything else by itself.
    fn name(&self, dimension: &'static str, id: Option<&str>) -> String {
        let Some(id) = id else { return "(none)".to_owned() };
        match self.names.get(&(dimension, id.to_owned())) {
            Some(name) => name.clone(),
            None if dimension == "organization" => format!("Organization {}", &id[id.len() - 8..]),
            None => id.to_owned(),
        }
    }

    /// A comparison, without `as_of`; the filter names one organization and no
    /// user.
    pub(crate) fn compare(&self, filter: &Filter, organization: &str, user: &str) -> Value {
        let mut users: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in self.matching(filter) {
            if let Some(user) = &row.user {
                users.entry(user.clone()).or_default().push(row);
            }
        }
        let costs: Vec<Option<i128>> =
            users.values().map(|rows| numbers(rows)["total_cost"]).collect();
        let own = users.get(user).cloned().unwrap_or_default();
        let own_cost = users.get(user).and_then(|rows| numbers(rows)["total_cost"]);
        let active = i128::try_from(users.len()).expect("few users");
        let count =
            |keep: &dyn Fn(i128) -> bool| costs.iter().flatten().filter(|c| keep(**c)).count();
        let rank = own_cost.map(|own| count(&|cost| cost > own) + 1);
        let no_dearer = own_cost.map(|own| count(&|cost| cost <= own) as i128);
        let known: Vec<i128> = costs.iter().flatten().copied().collect();
        let cost = (!known.is_empty()).then(|| money_text(divide(known.iter().sum(), active)));
        let average = |measure: &str| {
            let sum: i128 = users.values().filter_map(|rows| numbers(rows)[measure]).sum();
            ratio(sum, active)
        };
        let mut comparison = Map::new();
        add_dates(&mut comparison, filter);
        let fields = json!({
            "user_id": user,
            "organization_id": organization,
            "user": measures(&own),
            "unpriced_events": numbers(&own)["unpriced_events"].map(whole_number),
            "organization_average": {
                "total_cost": cost,
                "total_tokens": average("total_tokens"),
                "total_conversations": average("total_conversations"),
                "total_events": average("total_events"),
            },
            "active_users": users.len(),
            "rank": rank,
            "percentile": no_dearer.and_then(|users| ratio(users, active)),
        });
        comparison.extend(fields.as_object().expect("an object").clone());
        comparison.into()
    }

    /// A conversation's events in order, and what every page says beside them.
    pub(crate) fn conversation(&self, organization: &str, id: &str) -> (Vec<Value>, Value) {
        let ours = |row: &&Row| {
            row.organization == organization && row.conversation.as_deref() == Some(id)
        };
        let mut rows: Vec<&Row> = self.rows.iter().filter(ours).collect();
        rows.sort_by_key(|row| (row.time, &row.source, &row.event_id));
        let group = [Some(organization.to_owned()), Some(id.to_owned())];
        let total = numbers(&rows)["total_cost"];
        let whole = self.item(&["organization", "conversation"], &group, &rows, total);
        (rows.into_iter().map(event).collect(), whole)
    }
}

fn event(row: &Row) -> Value {
    json!({
        "event_id": row.event_id, "source": row.source, "event_time": time_text(row.time),
        "user_id": row.user, "api_key_id": row.api_key, "team_id": row.team,
        "department": row.department, "provider": row.provider, "model_name": row.model,
        "status": row.status, "topic": row.topic,
        "input_tokens": row.tokens[0], "cache_read_tokens": row.tokens[1],
        "cache_write_tokens": row.tokens[2], "cache_write_1h_tokens": row.tokens[3],
        "output_tokens": row.tokens[4], "reasoning_tokens": row.tokens[5],
        "total_cost": row.charged.map(money_text),
        "actual_api_cost": row.actual.map(money_text),
        "cost_source": row.cost_source, "price_version": row.price_version,
        "duration_ms": row.duration_ms, "entry": "usage",
    })
}

fn field_of(dimension: &str) -> &'static str {
    let found = DIMENSIONS.iter().find(|(name, _)| *name == dimension);
    found.map(|(_, field)| *field).expect("a dimension")
}

/// What an answer of several items says of all of them.
fn whole(rows: &[&Row], filter: &Filter) -> Map<String, Value> {
    let total = measures(rows);
    let mut whole = Map::new();
    whole.insert("unpriced_events".to_owned(), total["unpriced_events"].clone());
    whole.insert("total".to_owned(), total.into());
    add_dates(&mut whole, filter);
    whole
}

fn add_dates(answer: &mut Map<String, Value>, filter: &Filter) {
    answer.insert("date_from".to_owned(), filter.from.to_string().into());
    answer.insert("date_to".to_owned(), filter.to.to_string().into());
}

fn step_of(day: NaiveDate, interval: &str) -> NaiveDate {
    match interval {
        "day" => day,
        "week" => day - Days::new(day.weekday().num_days_from_monday().into()),
        _ => day.with_day(1).expect("the first of a month"),
    }
}

fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
