//! The requests and responses of an export and an import. The command line reads and writes the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{ErrorDetail, FromObject, ObjectReader};
use crate::backup::{ExportPage, ImportReport};

/// A page of an export.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// The nextCursor of the page before. Without it, the first page is returned.
    cursor: Option<String>,
    /// Whether the page has the secrets of conversations in plain text. By default they are encrypted as in the store.
    reveal: Option<bool>,
}

impl FromObject for ExportRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { cursor: object.string("cursor"), reveal: object.boolean("reveal") }
    }
}

impl ExportRequest {
    /// The cursor, and whether secrets are in plain text. Every value that was read is valid.
    pub(crate) fn into_parts(self) -> (Option<String>, bool) {
        (self.cursor, self.reveal.unwrap_or(false))
    }
}

/// A page of an export.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportResponse {
    /// The lines of the page: clients, conversations and idempotency keys.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    pub(crate) lines: Vec<Box<RawValue>>,
    /// Which rows are not among the lines, because they cannot be read, and why.
    pub(crate) unreadable: Vec<String>,
    /// The cursor of the next page. `null` on the last page.
    pub(crate) next_cursor: Option<String>,
}

impl TryFrom<ExportPage> for ExportResponse {
    type Error = serde_json::Error;

    fn try_from(ExportPage { lines, unreadable, next }: ExportPage) -> Result<Self, serde_json::Error> {
        let lines = lines.into_iter().map(RawValue::from_string).collect::<Result<_, _>>()?;
        Ok(Self { lines, unreadable, next_cursor: next })
    }
}

/// The lines to import.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImportRequest {
    /// Lines of an export, in its order, without its first and last line.
    #[schemars(
        required,
        with = "Option<Vec<serde_json::Map<String, serde_json::Value>>>",
        length(min = 1, max = ImportRequest::MAX)
    )]
    lines: Option<Vec<String>>,
}

impl FromObject for ImportRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { lines: object.items("lines", r#"[{"conversation": {}}]"#, Self::MAX, str::to_owned) }
    }
}

impl ImportRequest {
    /// The most lines of one request.
    pub(crate) const MAX: usize = 100;

    /// The lines.
    ///
    /// # Errors
    /// An [`ErrorDetail`] if there are none.
    pub(crate) fn validate(self) -> Result<Vec<String>, Vec<ErrorDetail>> {
        let detail = || format!("is required: an array of 1 to {} lines of an export", Self::MAX);
        self.lines.ok_or_else(|| vec![ErrorDetail { pointer: "/lines".to_owned(), detail: detail() }])
    }
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportResponse {
    /// How many clients were added.
    pub(crate) clients: usize,
    /// How many conversations were added.
    pub(crate) conversations: usize,
    /// How many idempotency keys were added.
    pub(crate) idempotency_keys: usize,
    /// How many lines added nothing, because what they contain exists, or because the conversation of a key does not.
    pub(crate) skipped: usize,
}

impl From<ImportReport> for ImportResponse {
    fn from(ImportReport { clients, conversations, keys, skipped }: ImportReport) -> Self {
        Self { clients, conversations, idempotency_keys: keys, skipped }
    }
}
