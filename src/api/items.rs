//! One group of a list, as it is written.

use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{Measures, time};
use crate::query;
use crate::rollup::Dimension;

/// The dimensions by the names that `group_by` and `sort` use.
const DIMENSIONS: [(&str, Dimension); 10] = [
    ("organization", Dimension::Organization),
    ("team", Dimension::Team),
    ("department", Dimension::Department),
    ("user", Dimension::User),
    ("api_key", Dimension::ApiKey),
    ("provider", Dimension::Provider),
    ("model", Dimension::Model),
    ("status", Dimension::Status),
    ("conversation", Dimension::Conversation),
    ("date", Dimension::Date),
];

/// The dimension of this name, or `None`.
pub(crate) fn dimension_of(name: &str) -> Option<Dimension> {
    DIMENSIONS.into_iter().find(|(known, _)| *known == name).map(|(_, dimension)| dimension)
}

/// Every name, for messages.
pub(crate) fn dimension_names() -> String {
    DIMENSIONS.map(|(name, _)| name).join(", ")
}

/// One group. Only the dimensions that the list groups by are present; null
/// stands for events that say nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListItem {
    #[serde(flatten)]
    ids: Ids,
    /// The display names of the dimensions, joined by " / ": from the
    /// directory where it knows them, else the id; "(none)" for null.
    name: String,
    #[serde(flatten)]
    measures: Measures,
    /// The part of the whole's total_cost, 0 to 1 with six digits; null where
    /// either is unknown or the whole costs nothing.
    #[schema(example = "0.600000")]
    share: Option<String>,
    #[serde(flatten)]
    conversation: Option<ConversationFacts>,
}

/// The values of an item's dimensions.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Ids {
    /// A local date.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    date: Option<Option<String>>,
    /// A UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    organization_id: Option<Option<String>>,
    /// A team.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    team_id: Option<Option<String>>,
    /// A department.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    department: Option<Option<String>>,
    /// A user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    user_id: Option<Option<String>>,
    /// An API key's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    api_key_id: Option<Option<String>>,
    /// A provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    provider: Option<Option<String>>,
    /// A model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    model_name: Option<Option<String>>,
    /// active, completed or failed. In lists of conversations: that of the
    /// conversation's latest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    status: Option<Option<String>>,
    /// A conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    conversation_id: Option<Option<String>>,
}

/// What is said of conversations only.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationFacts {
    /// The topic of the latest event that has one.
    topic: Option<String>,
    /// When the first event happened.
    first_event_time: Option<String>,
    /// When the last event happened.
    last_event_time: Option<String>,
}

impl From<query::Item> for ListItem {
    fn from(item: query::Item) -> Self {
        let mut ids = Ids::default();
        let mut is_conversation = false;
        for (dimension, id) in item.ids {
            is_conversation |= dimension == Dimension::Conversation;
            *ids.slot(dimension) = Some(id);
        }
        if is_conversation && ids.status.is_none() {
            ids.status = Some(item.latest_status);
        }
        let conversation = is_conversation.then(|| ConversationFacts {
            topic: item.latest_topic,
            first_event_time: item.first_event_time.map(time),
            last_event_time: item.last_event_time.map(time),
        });
        Self {
            ids,
            name: item.name,
            measures: (&item.measures).into(),
            share: item.share,
            conversation,
        }
    }
}

impl Ids {
    fn slot(&mut self, dimension: Dimension) -> &mut Option<Option<String>> {
        match dimension {
            Dimension::Date => &mut self.date,
            Dimension::Organization => &mut self.organization_id,
            Dimension::Team => &mut self.team_id,
            Dimension::Department => &mut self.department,
            Dimension::User => &mut self.user_id,
            Dimension::ApiKey => &mut self.api_key_id,
            Dimension::Provider => &mut self.provider,
            Dimension::Model => &mut self.model_name,
            Dimension::Status => &mut self.status,
            Dimension::Conversation => &mut self.conversation_id,
        }
    }
}
