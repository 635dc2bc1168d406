//! The operations of an operator on the whole store.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::openapi::{Description, Input, Tag};
use crate::api::{ExportRequest, ExportResponse, ImportRequest, ImportResponse};

pub(in crate::http) static EXPORT_CONVERSATIONS: Description = Description {
    tag: Tag::Backup,
    summary: "Export all conversations",
    details: "Returns a page of all clients, conversations and idempotency keys, as they are stored. The command export reads \
              all pages and writes the file that the command import reads. Secrets are encrypted as in the store unless reveal \
              is true.",
    input: Input::Query(SchemaGenerator::subschema_for::<ExportRequest>),
    reads_if_match: false,
    answer: json(
        "A page of the export. It ends after about 1 MiB.",
        SchemaGenerator::subschema_for::<ExportResponse>,
        r#"{ "lines": [{ "client": { "v": 1, "row": { "id": "anna", "keyHashes": [] } } }], "unreadable": [],
             "nextCursor": "1.m~anna~fe76" }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static IMPORT_CONVERSATIONS: Description = Description {
    tag: Tag::Backup,
    summary: "Import conversations",
    details: "Adds the clients, conversations and idempotency keys of an export. What exists already stays as it is, so the same \
              request can be sent again. If a line is wrong, nothing of the request is added. What is due is delivered at once.",
    input: body(
        SchemaGenerator::subschema_for::<ImportRequest>,
        &[("client", r#"{ "lines": [{ "client": { "v": 1, "row": { "id": "anna", "keyHashes": [] } } }] }"#)],
    ),
    reads_if_match: false,
    answer: json(
        "What was added.",
        SchemaGenerator::subschema_for::<ImportResponse>,
        r#"{ "clients": 1, "conversations": 0, "idempotencyKeys": 0, "skipped": 0 }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};
