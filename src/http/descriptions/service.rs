//! The operations about the service itself.

use schemars::{SchemaGenerator, json_schema};

use super::{json, page};
use crate::api::openapi::{Description, Input, Tag};
use crate::api::{Health, ProblemType, Ready};

pub(in crate::http) static HEALTH: Description = Description {
    tag: Tag::Service,
    summary: "Check the process",
    details: "Says that the process responds and has not failed to store anything for a minute.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: json("The process works.", SchemaGenerator::subschema_for::<Health>, r#"{ "status": "ok" }"#),
    other_answers: &[],
    problems: &[ProblemType::Unavailable],
    links: &[],
};

pub(in crate::http) static READY: Description = Description {
    tag: Tag::Service,
    summary: "Check the process and its store",
    details: "Examines the store, the clock of the machine against that of the storage, overdue conversations and, where \
              several processes share the store, the last sweep and the queue. A warning is no failure.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: json(
        "The service works.",
        SchemaGenerator::subschema_for::<Ready>,
        r#"{ "status": "ok", "checks": [{ "name": "store", "status": "ok" }, { "name": "clock", "status": "ok" }] }"#,
    ),
    other_answers: &[],
    problems: &[ProblemType::Unavailable],
    links: &[],
};

pub(in crate::http) static OPENAPI: Description = Description {
    tag: Tag::Service,
    summary: "Describe the API for programs",
    details: "This document: OpenAPI 3.1.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: json("The document.", |_| json_schema!({ "type": "object" }), r#"{ "openapi": "3.1.0" }"#),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static DOCS: Description = Description {
    tag: Tag::Service,
    summary: "Describe the API for people",
    details: "The same as a page for people. It needs no script and no other host.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: page("The page."),
    other_answers: &[],
    problems: &[],
    links: &[],
};
