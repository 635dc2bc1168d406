//! The list request as callers write it, and its validation.

use schemars::JsonSchema;

use super::{Cursor, ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::domain::{Status, UnknownWord};
use crate::scheduler::ListQuery;

/// The filters and the page of a list of conversations.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListRequest {
    /// Return only conversations with this status. Without it, conversations with any status are returned.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    pub status: Option<String>,
    /// The most conversations on a page. The default is 50. A page may have fewer, even none, although more follow: then it
    /// has a nextCursor.
    #[schemars(range(min = 1, max = ListRequest::MAX_LIMIT))]
    pub limit: Option<u32>,
    /// The nextCursor of the page before. Without it, the first page is returned.
    #[schemars(length(max = 128))]
    pub cursor: Option<String>,
}

impl FromObject for ListRequest {
    const SYNONYMS: Synonyms = &[
        ("status", &["state", "statuses", "filter"]),
        ("limit", &["count", "pagesize", "perpage", "max", "maxresults", "size", "top", "first"]),
        (
            "cursor",
            &["nextcursor", "page", "pagetoken", "nextpagetoken", "continuationtoken", "after", "offset", "skip"],
        ),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            status: object.string("status"),
            limit: object.whole_number("limit", 1..=Self::MAX_LIMIT),
            cursor: object.string("cursor"),
        }
    }
}

impl ListRequest {
    /// The highest limit that a caller may set.
    pub const MAX_LIMIT: u32 = 100;
    const DEFAULT_LIMIT: u32 = 50;

    /// Checks all fields but the limit, which is checked where it is read. A field that is empty counts as absent, because generated clients send empty parameters.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub fn validate(self) -> Result<ListQuery, Vec<ErrorDetail>> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, detail| errors.push(ErrorDetail { pointer: pointer.to_owned(), detail });
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let status = set(self.status)
            .and_then(|text| text.parse().map_err(|error: UnknownWord| wrong("/status", error.to_string())).ok());
        let limit = self.limit.unwrap_or(Self::DEFAULT_LIMIT);
        let cursor = set(self.cursor).and_then(|text| {
            let cursor = text.parse::<Cursor>().ok();
            if cursor.is_none() {
                wrong("/cursor", "must be the nextCursor of an earlier page, unchanged".to_owned());
            }
            cursor.map(|Cursor(id)| id)
        });
        if errors.is_empty() { Ok(ListQuery { status, limit: limit as usize, cursor }) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ConversationId, Timestamp};

    #[test]
    fn all_errors_are_reported_at_once() {
        let wrong = ListRequest { status: Some("Done".into()), limit: None, cursor: Some("page 2".into()) };
        let pointers: Vec<_> = wrong.validate().unwrap_err().into_iter().map(|e| e.pointer).collect();
        assert_eq!(pointers, ["/status", "/cursor"]);
    }

    #[test]
    fn absent_and_empty_fields_have_their_defaults() {
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
