//! The form that both encodings of OTLP are read into: records with scalar
//! attributes. Lists, maps and bytes are left behind, since no column takes
//! them and exporters put conversations there.

/// A scalar value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// The literal of a JSON number. A protobuf double becomes the shortest
    /// decimal that reads back as the same double: the digits that its sender
    /// printed or computed, without noise of our own.
    Number(String),
    Truth(bool),
}

impl Value {
    pub(super) fn of_integer(number: i64) -> Self {
        Self::Number(number.to_string())
    }

    pub(super) fn of_double(number: f64) -> Self {
        // Rust writes no exponent, and NaN and the infinities as words.
        let digits = number.to_string();
        if number.is_finite() { Self::Number(digits) } else { Self::Text(digits) }
    }

    /// As text; `None` when there is nothing to read.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => {
                Some(text.trim()).filter(|one| !one.is_empty())
            }
            Self::Truth(_) => None,
        }
    }

    /// As a JSON literal, for the rules of validation to judge.
    pub(super) fn literal(&self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Number(digits) => digits.clone(),
            Self::Truth(truth) => truth.to_string(),
        }
    }
}

/// Attributes by name. Few, so a list is the fastest map.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<(String, Value)>);

impl Attributes {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }
}

impl FromIterator<(String, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The records of one resource and scope.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) resource: Attributes,
    /// The name of the instrumentation scope.
    pub(super) scope: String,
    pub(super) records: Vec<Record>,
}

/// A log record or a span.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// A span's name. A log record's event name, or else its body where that
    /// looks like a name: it is compared with names and never stored.
    pub(super) name: String,
    pub(super) attributes: Attributes,
    /// When it happened, or a span began; 0 is unknown.
    pub(super) time_unix_nano: u64,
    /// What only a span has.
    pub(super) span: Option<Span>,
}

/// What a span says beside its attributes.
#[derive(Debug, Default)]
pub(super) struct Span {
    /// Lower-case hexadecimal, as in JSON.
    pub(super) trace_id: String,
    /// Likewise.
    pub(super) span_id: String,
    pub(super) end_unix_nano: u64,
    /// Whether it is a call to another service (kind CLIENT).
    pub(super) client: bool,
    /// Whether its status is an error.
    pub(super) failed: bool,
}

/// The body of a log record, where it can be an event's name: exporters from
/// before the field `event_name` put it there.
pub(super) fn name_of_body(body: &str) -> Option<&str> {
    const NAME_BYTES_MAX: usize = 64;
    let named = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
    (body.len() <= NAME_BYTES_MAX && body.bytes().all(named)).then_some(body)
}

/// One record with what stands around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'r> {
    pub(super) resource: &'r Attributes,
    pub(super) scope: &'r str,
    pub(super) record: &'r Record,
}

impl<'r> Entry<'r> {
    /// An attribute of the record, or else of its resource.
    pub(super) fn get(&self, name: &str) -> Option<&'r Value> {
        self.record.attributes.get(name).or_else(|| self.resource.get(name))
    }

    /// The text of the first attribute of `names` that has one.
    pub(super) fn text(&self, names: &[&str]) -> Option<&'r str> {
        names.iter().find_map(|name| self.get(name)?.text())
    }

    /// Whether this is the event `tool.short`. Exporters differ in where the
    /// name stands, and in whether the attribute holds the tool's name too.
    pub(super) fn is_event(&self, tool: &str, short: &str) -> bool {
        let name = self.record.name.as_str();
        let attribute = self.record.attributes.text("event.name").unwrap_or_default();
        let whole = |name: &str| {
            name.strip_prefix(tool).and_then(|rest| rest.strip_prefix('.')) == Some(short)
        };
        let short_of_tool = attribute == short && self.is_from(tool);
        whole(name) || whole(attribute) || short_of_tool
    }

    /// Whether the sender is `tool`, by its service, its scope (of which one
    /// part may be the tool: `com.anthropic.claude_code.events`), or the name
    /// of the record. Names must be equal: a customer's own `my-codex-proxy`
    /// is another program.
    pub(super) fn is_from(&self, tool: &str) -> bool {
        let named = |name: &str| name.replace('-', "_") == tool;
        self.resource.text("service.name").is_some_and(named)
            || self.scope.split('.').any(named)
            || self.record.name.strip_prefix(tool).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// Every record of `batches` with its number, from 1.
pub(super) fn entries(batches: &[Batch]) -> impl Iterator<Item = (u64, Entry<'_>)> {
    let entries = batches.iter().flat_map(|batch| {
        let (resource, scope) = (&batch.resource, batch.scope.as_str());
        batch.records.iter().map(move |record| Entry { resource, scope, record })
    });
    (1..).zip(entries)
}
