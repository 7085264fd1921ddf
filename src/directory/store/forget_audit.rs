//! The audit log without somebody who was forgotten.

use serde_json::{Map, Value, json};
use sqlx::any::AnyRow;

use super::load::text;
use super::{DirectoryStore, Erasure, unavailable};
use crate::directory::records::DirectoryKind;
use crate::error::Result;
use crate::model::mentions_in_sql;

/// Lines that are looked at, and changed, at once: others write meanwhile.
const PAGE_LINES: i64 = 1_000;

/// Whose values are never users: words of ours, and ids of something else.
const NEVER_USERS: [&str; 36] = [
    "action",
    "api_key_id",
    "api_key_ids",
    "cut",
    "date_from",
    "date_to",
    "department",
    "departments",
    "event_id",
    "format",
    "group_by",
    "id",
    "kind",
    "model",
    "models",
    "month",
    "organization_id",
    "organization_ids",
    "over",
    "pseudonym",
    "provider",
    "providers",
    "range",
    "role",
    "rows",
    "scopes",
    "sort",
    "source",
    "status",
    "statuses",
    "table",
    "team_id",
    "team_ids",
    "time_zone",
    "valid_from",
    "valid_to",
];

/// Of which organization a part of a line speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// That of the erasure.
    Ours,
    /// It does not say, or of several.
    Unsaid,
    /// Another one.
    Others,
}

/// What takes whose place.
struct Swap<'a> {
    erasure: &'a Erasure,
    /// No other organization has a user of this id, so that it can mean
    /// nobody else.
    is_unique: bool,
}

#[derive(Debug, PartialEq)]
struct Line {
    id: String,
    action: String,
    subject: String,
    details: Value,
    organization_id: String,
}

impl DirectoryStore {
    /// Replaces the user by the pseudonym in what was done to and by the
    /// organization, and where lines of the platform name this very user.
    /// Statements of SQL that name the user lose their text.
    pub(super) async fn forget_in_audit(&self, erasure: &Erasure) -> Result<()> {
        let swap = Swap { erasure, is_unique: self.is_unique(erasure) };
        let mut after = String::new();
        loop {
            let page =
                sqlx::query(include_str!("../../../queries/directory/forget_audit_page.sql"))
                    .bind(&erasure.organization_id)
                    .bind(&after)
                    .bind(PAGE_LINES)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(unavailable)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = text(last, "id")?;
            let lines = page.iter().map(line).collect::<Result<Vec<_>>>()?;
            let changed: Vec<_> = lines.into_iter().filter_map(|one| swap.forgotten(one)).collect();
            self.put_lines(&changed).await?;
        }
    }

    async fn put_lines(&self, lines: &[Line]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await.map_err(unavailable)?;
        for line in lines {
            sqlx::query(include_str!("../../../queries/directory/forget_audit_line.sql"))
                .bind(&line.subject)
                .bind(line.details.to_string())
                .bind(&line.id)
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    fn is_unique(&self, erasure: &Erasure) -> bool {
        let directory = self.shared.load();
        let mut others = directory.organizations().filter(|one| one.id != erasure.organization_id);
        !others.any(|one| directory.get(DirectoryKind::User, &one.id, &erasure.user_id).is_some())
    }
}

fn line(row: &AnyRow) -> Result<Line> {
    let details = text(row, "details")?;
    // A line that cannot be read is kept as the text that it is.
    let details = serde_json::from_str(&details).unwrap_or(Value::String(details));
    Ok(Line {
        id: text(row, "id")?,
        action: text(row, "action")?,
        subject: text(row, "subject")?,
        details,
        organization_id: text(row, "organization_id")?,
    })
}

impl Swap<'_> {
    /// The line without the user; `None` where it does not name them.
    fn forgotten(&self, mut line: Line) -> Option<Line> {
        let Erasure { pseudonym, organization_id, user_id } = self.erasure;
        let subject = |id: &str| format!("organization/{organization_id}/user/{id}");
        // Of acts on the user itself the details go, since they hold names.
        if line.subject == subject(user_id) {
            return Some(Line { subject: subject(pseudonym), details: Value::Null, ..line });
        }
        let whose = self.whose_line(&line);
        if line.action == "sql.run" {
            let says = line.details.get("statement").and_then(Value::as_str);
            let names = says.is_some_and(|says| mentions_in_sql(says, user_id));
            let details =
                line.details.as_object_mut().filter(|_| names && whose != Whose::Others)?;
            details.insert("statement".to_owned(), json!("(forgotten)"));
            details.insert("cut".to_owned(), json!(true));
            return Some(line);
        }
        self.replace(&mut line.details, whose).then_some(line)
    }

    fn whose_line(&self, line: &Line) -> Whose {
        let named = Some(line.organization_id.as_str()).filter(|id| !id.is_empty());
        // Older lines name it in their subject only.
        let subject = || line.subject.strip_prefix("organization/")?.split('/').next();
        named.or_else(subject).map_or(Whose::Unsaid, |id| self.whose(id))
    }

    fn whose(&self, organization_id: &str) -> Whose {
        if organization_id == self.erasure.organization_id { Whose::Ours } else { Whose::Others }
    }

    /// Whose an object is, where it says so.
    fn whose_object(&self, object: &Map<String, Value>) -> Option<Whose> {
        let named = object.get("organization_id").or_else(|| object.get("organization_ids"))?;
        match named {
            Value::String(id) => Some(self.whose(id)),
            Value::Array(ids) => {
                let found = ids.iter().filter_map(Value::as_str).map(|id| self.whose(id));
                found.reduce(|one, other| if one == other { one } else { Whose::Unsaid })
            }
            _ => None,
        }
    }

    /// Replaces whole values only, never a name or a part of a text. Answers
    /// whether there was one.
    fn replace(&self, value: &mut Value, whose: Whose) -> bool {
        let Erasure { pseudonym, user_id, .. } = self.erasure;
        match value {
            Value::Object(object) => {
                let whose = self.whose_object(object).unwrap_or(whose);
                let may_be_users =
                    object.iter_mut().filter(|(name, _)| !NEVER_USERS.contains(&name.as_str()));
                self.replace_all(may_be_users.map(|(_, value)| value), whose)
            }
            Value::Array(values) => self.replace_all(values.iter_mut(), whose),
            Value::String(text) => {
                let is_meant = match whose {
                    Whose::Ours => true,
                    Whose::Unsaid => self.is_unique,
                    Whose::Others => false,
                };
                let is_user = is_meant && text == user_id;
                if is_user {
                    text.clone_from(pseudonym);
                }
                is_user
            }
            _ => false,
        }
    }

    fn replace_all<'v>(&self, values: impl Iterator<Item = &'v mut Value>, whose: Whose) -> bool {
        let mut any = false;
        for value in values {
            any |= self.replace(value, whose);
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "ours";

    fn erasure(user_id: &str) -> Erasure {
        Erasure {
            pseudonym: "forgotten-1".to_owned(),
            organization_id: OURS.to_owned(),
            user_id: user_id.to_owned(),
        }
    }

    fn line_of(organization_id: &str, action: &str, details: Value) -> Line {
        Line {
            id: "1".to_owned(),
            action: action.to_owned(),
            subject: "something".to_owned(),
            details,
            organization_id: organization_id.to_owned(),
        }
    }

    /// The details after `user` is forgotten, or none where they stay.
    fn after(user: &str, is_unique: bool, line: Line) -> Option<Value> {
        let erasure = erasure(user);
        let swap = Swap { erasure: &erasure, is_unique };
        swap.forgotten(line).map(|line| line.details)
    }

    #[test]
    fn a_user_called_like_a_field_changes_nothing_else() {
        let details = json!({"reason": "a test", "organization_id": OURS, "over": "user",
                             "role": "member", "name": "a token of ours", "team_id": "a"});
        for user in ["reason", "organization_id", "a", "user", "member", "test", OURS] {
            assert_eq!(after(user, true, line_of(OURS, "token.create", details.clone())), None);
        }
    }

    #[test]
    fn whole_values_at_any_depth_are_replaced() {
        let details = json!({"grants": [{"over": "user", "organization_id": OURS, "user_id": "a"}],
                             "user_id": ["a", "b"], "owner": "a b"});
        let expected = json!({
            "grants": [{"over": "user", "organization_id": OURS, "user_id": "forgotten-1"}],
            "user_id": ["forgotten-1", "b"], "owner": "a b"});
        assert_eq!(after("a", false, line_of(OURS, "token.create", details)), Some(expected));
    }

    #[test]
    fn lines_of_the_platform_change_only_where_they_name_this_user() {
        let of = |id: &str| json!({"organization_id": id, "user_id": "a"});
        let of_several = || json!({"grants": [of(OURS), of("theirs")]});
        let expected = json!({"grants": [
            {"organization_id": OURS, "user_id": "forgotten-1"}, of("theirs")]});
        let changed = after("a", true, line_of("", "token.create", of_several()));
        assert_eq!(changed, Some(expected));
        let unsaid = || line_of("", "usage.export", json!({"user_id": ["a"]}));
        assert_eq!(after("a", false, unsaid()), None, "it may be another organization's");
        assert!(after("a", true, unsaid()).is_some());
    }

    #[test]
    fn statements_lose_their_text_where_it_names_the_user() {
        let said = |text: &str| json!({"statement": text, "cut": false, "organization_id": OURS});
        let run = |text: &str| line_of(OURS, "sql.run", said(text));
        let expected = json!({"statement": "(forgotten)", "cut": true, "organization_id": OURS});
        let names = run("SELECT * FROM t WHERE user_id = 'ada'");
        assert_eq!(after("ada", true, names), Some(expected));
        assert_eq!(after("ada", true, run("SELECT * FROM canada, ada_2, x.ada")), None);
        assert_eq!(after("ada", true, run("ada").with_subject("organization/theirs/x")), None);
    }

    impl Line {
        /// An older line, which names its organization in the subject only.
        fn with_subject(self, subject: &str) -> Self {
            Self { subject: subject.to_owned(), organization_id: String::new(), ..self }
        }
    }

    #[test]
    fn acts_on_the_user_lose_their_details() {
        let line = line_of("", "user.put", json!({"name": "Ada"}));
        let line = line.with_subject("organization/ours/user/a");
        let erasure = erasure("a");
        let after = Swap { erasure: &erasure, is_unique: false }.forgotten(line).expect("changed");
        assert_eq!(after.subject, "organization/ours/user/forgotten-1");
        assert_eq!(after.details, Value::Null);
    }
}
