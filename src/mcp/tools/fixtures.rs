//! The tools that the protocol's conformance suite calls, for the features that this server has. Only a test lists them.
//!
//! They go the way of every other tool: the same results, errors, schemas and questions, and the same sealed state.

use std::borrow::Cow;
use std::future::ready;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::{Effect, NamedTool, Tool, or_null, schema, without_null};
use crate::api::{ErrorDetail, FromObject, ObjectReader, Parsed, Problem};
use crate::domain::Scope;
use crate::mcp::elicitation::{Question, Wanted};
use crate::mcp::executor::ToolResult;

/// All fixtures.
#[must_use]
pub fn all() -> Vec<NamedTool> {
    let tools = [
        ("test_simple_text", TEXT),
        ("test_error_handling", ERROR),
        ("json_schema_2020_12_tool", SCHEMA),
        ("test_input_required_result_elicitation", GREETING),
        ("test_input_required_result_request_state", CONSENT),
        ("test_input_required_result_tampered_state", CONSENT),
        ("test_streaming_elicitation", CONSENT),
    ];
    tools.map(|(name, tool)| NamedTool { name, title: "A fixture", scope: Scope::Read, tool }).into()
}

const TEXT: Tool = Tool {
    description: "A tool of the conformance suite.",
    effect: Effect::Reads,
    input: || schema::<Nothing>(without_null),
    output: || schema::<Text>(or_null),
    questions: None,
    run: |_, _, _| Box::pin(ready(text("This is a simple text response for testing."))),
};

const ERROR: Tool = Tool {
    run: |_, _, _| {
        let detail = "fails, because this tool returns an error for testing".to_owned();
        Box::pin(ready(Err(Problem::invalid(vec![ErrorDetail { pointer: String::new(), detail }]))))
    },
    ..TEXT
};

const SCHEMA: Tool = Tool { input: || schema::<Contact>(without_null), ..TEXT };

const GREETING: Tool = Tool {
    input: || schema::<Greeted>(without_null),
    questions: Some(|_, _, arguments| Box::pin(ready(Ok(name(arguments).err().map(|_| who()).into_iter().collect())))),
    run: |_, _, arguments| Box::pin(ready(name(arguments).and_then(|name| text(&format!("Hello, {name}!"))))),
    ..TEXT
};

const CONSENT: Tool = Tool {
    questions: Some(|_, _, _| Box::pin(ready(Ok(vec![consent()])))),
    run: |_, _, _| Box::pin(ready(text("state-ok"))),
    ..TEXT
};

/// No arguments.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Nothing {}

/// The text of a result.
#[derive(Serialize, JsonSchema)]
struct Text {
    text: String,
}

fn text(text: &str) -> Result<ToolResult, Problem> {
    ToolResult::new(text, &Text { text: text.to_owned() })
}

/// Somebody to greet.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Greeted {
    /// The name of the person.
    name: Option<String>,
}

impl FromObject for Greeted {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { name: object.string("name") }
    }
}

fn name(arguments: &[u8]) -> Result<String, Problem> {
    let missing = || vec![ErrorDetail { pointer: "/name".to_owned(), detail: "is required".to_owned() }];
    Parsed::<Greeted>::from_json(arguments)?.validate(|greeted| greeted.name.ok_or_else(missing))
}

fn who() -> Question {
    let wanted = Wanted::Argument { name: "name", title: "Name", description: "Your name." };
    let if_declined = "is missing: the person did not say it";
    Question { name: "user_name", message: "What is your name?".to_owned(), wanted, if_declined }
}

fn consent() -> Question {
    let (wanted, if_declined) = (Wanted::Consent(Vec::new()), "was not given: the person declined");
    Question { name: "confirm", message: "Please confirm".to_owned(), wanted, if_declined }
}

/// A schema with the keywords that the suite looks for. The tools of the service use fewer, because not every client can
/// read all of them.
struct Contact;

impl JsonSchema for Contact {
    fn schema_name() -> Cow<'static, str> {
        "Contact".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } }
                }
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" }
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false
        })
    }
}
