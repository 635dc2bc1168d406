//! The list request as callers write it, and its validation.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cursor, ErrorDetail};
use crate::domain::Status;
use crate::scheduler::ListQuery;

/// A list request as it is written. What is left out, or left empty as generated clients do, is not set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListRequest {
    /// Only conversations with this status. All of them when left out.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    pub status: Option<String>,
    /// How many conversations a page has at the most: 50 when left out.
    #[schemars(range(min = 1, max = ListRequest::MAX_LIMIT))]
    pub limit: Option<u32>,
    /// The nextCursor of the page before. The first page when left out.
    #[schemars(length(max = 128))]
    pub cursor: Option<String>,
}

impl ListRequest {
    /// The most that a page may have.
    pub const MAX_LIMIT: u32 = 100;
    const DEFAULT_LIMIT: u32 = 50;

    /// Checks everything and collects everything that is wrong.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each problem, at least one.
    pub fn validate(self) -> Result<ListQuery, Vec<ErrorDetail>> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, detail| errors.push(ErrorDetail { pointer: pointer.to_owned(), detail });
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let status = set(self.status).and_then(|text| {
            let known = Status::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(&text));
            if known.is_none() {
                wrong("/status", format!("must be one of {}", Status::ALL.map(Status::as_str).join(", ")));
            }
            known
        });
        let limit = self.limit.unwrap_or(Self::DEFAULT_LIMIT);
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            wrong("/limit", Self::limits());
        }
        let cursor = set(self.cursor).and_then(|text| {
            let cursor = text.parse::<Cursor>().ok();
            if cursor.is_none() {
                wrong("/cursor", "must be the nextCursor of an earlier page".to_owned());
            }
            cursor.map(|Cursor(id)| id)
        });
        if errors.is_empty() { Ok(ListQuery { status, limit: limit as usize, cursor }) } else { Err(errors) }
    }

    /// What a limit must be, as a sentence that follows the field's name.
    #[must_use]
    pub fn limits() -> String {
        format!("must be a number from 1 to {}", Self::MAX_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ConversationId, Timestamp};

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = ListRequest { status: Some("Done".into()), limit: Some(101), cursor: Some("page 2".into()) };
        let pointers: Vec<_> = wrong.validate().unwrap_err().into_iter().map(|e| e.pointer).collect();
        assert_eq!(pointers, ["/status", "/limit", "/cursor"]);
    }

    #[test]
    fn what_is_left_out_or_empty_is_not_set() {
        let all = ListQuery { status: None, limit: 50, cursor: None };
        assert_eq!(ListRequest::default().validate(), Ok(all));
        let empty = ListRequest { status: Some(String::new()), limit: None, cursor: Some(String::new()) };
        assert_eq!(empty.validate(), Ok(all));
    }

    #[test]
    fn a_cursor_is_read_back_and_a_status_ignores_case() {
        let id = ConversationId::new(Timestamp::from_millis(1_900_000_000_000), &[7; 10]);
        let request =
            ListRequest { status: Some("inprogress".into()), limit: Some(1), cursor: Some(Cursor(id).to_string()) };
        let expected = ListQuery { status: Some(Status::InProgress), limit: 1, cursor: Some(id) };
        assert_eq!(request.validate(), Ok(expected));
    }
}
