//! The description of the HTTP API as a document of OpenAPI 3.1.
//!
//! The document is made from two sources: what the table of operations says of an operation ([`Documented`]), and what
//! only a reader needs to know ([`Description`]). `problems` finds the problems that an operation can answer with,
//! `operation` writes one operation, `schemas` collects the schemas, and `webhook` describes the deliveries. `page` shows the
//! document to people.

mod components;
mod description;
mod operation;
mod page;
mod problems;
mod schemas;
mod webhook;

pub use description::{Answer, Body, Description, Documented, Input, OtherAnswer, Refusal, SchemaOf, Tag};
pub use page::{page, page_policy};
use serde_json::{Map, Value, json};

use self::schemas::Schemas;

/// The document that describes these operations. It is the same for every caller: its addresses are relative.
#[must_use]
pub fn document(operations: &[Documented]) -> Value {
    let mut schemas = Schemas::new();
    let mut responses = Map::new();
    let mut paths: Map<String, Value> = Map::new();
    for documented in operations {
        let written = operation::write(documented, &mut schemas, &mut responses);
        let path = paths.entry(documented.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(documented.method.as_str().to_ascii_lowercase(), written);
        }
    }
    let webhook = webhook::write(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Conversation scheduler",
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": components::INTRODUCTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/", "description": "The service that this document was read from" }],
        "tags": Tag::ALL.map(|tag| json!({ "name": tag.name(), "description": tag.description() })),
        "paths": paths,
        "webhooks": { webhook::NAME: webhook },
        "components": {
            "securitySchemes": components::security_schemes(),
            "headers": components::headers(),
            "responses": responses,
            "schemas": schemas.finish(),
        },
    })
}
