//! Writes one operation.

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use super::{Answer, Body, Documented, Input, OtherAnswer, Refusal, components, problems};
use crate::api::{Problem, ProblemType};

const PROBLEM: &str = "application/problem+json";
const JSON: &str = "application/json";
const HTML: &str = "text/html";

/// The operation object of an operation. It refers to the responses that it shares with others.
pub(super) fn write(operation: &Documented, schemas: &mut Schemas, shared: &mut Map<String, Value>) -> Value {
    let description = operation.description;
    let written = json!({
        "operationId": operation.name,
        "tags": [description.tag.name()],
        "summary": description.summary,
        "description": description.details,
        "responses": responses(operation, schemas, shared),
        "security": security(operation),
    });
    let written = with(written, "parameters", parameters(operation, schemas));
    match &description.input {
        Input::Body(body) => with(written, "requestBody", request_body(body, operation.body_limit, schemas)),
        Input::Nothing | Input::Query(_) => written,
    }
}

/// The object with one more member, unless the value of the member is empty.
fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    let is_empty = value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    if let Some(object) = object.as_object_mut().filter(|_| !is_empty) {
        object.insert(name.to_owned(), value);
    }
    object
}

/// A token of either scheme, or nothing.
fn security(operation: &Documented) -> Value {
    if !operation.needs_token {
        return json!([]);
    }
    let scopes: Vec<_> = operation.scope.iter().map(|scope| scope.as_str()).collect();
    json!([{ components::OAUTH: scopes }, { components::BEARER: scopes }])
}

fn parameters(operation: &Documented, schemas: &mut Schemas) -> Vec<Value> {
    let names = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<_> = names.map(components::path_parameter).collect();
    if operation.takes_idempotency_key {
        parameters.push(components::idempotency_key());
    }
    if operation.description.reads_if_match {
        parameters.push(components::if_match());
    }
    if let Input::Query(schema) = operation.description.input {
        let schema = schemas.resolved_request(schema);
        let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        parameters.extend(properties.into_iter().map(|(name, mut schema)| {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({ "name": name, "in": "query", "description": description, "schema": schema })
        }));
    }
    parameters
}

fn request_body(body: &Body, limit: usize, schemas: &mut Schemas) -> Value {
    let schema = schemas.request(body.schema);
    let examples = body.examples.iter().map(|(name, text)| ((*name).to_owned(), json!({ "value": parsed(text) })));
    let media = with(json!({ "schema": schema }), "examples", examples.collect::<Map<_, _>>());
    let content = body.media_types.iter().map(|name| ((*name).to_owned(), media.clone()));
    json!({
        "required": true,
        "description": format!("At most {limit} bytes."),
        "content": Value::Object(content.collect()),
    })
}

fn responses(operation: &Documented, schemas: &mut Schemas, shared: &mut Map<String, Value>) -> Value {
    let description = operation.description;
    let mut responses = Map::new();
    responses.insert(description.answer.status.to_string(), success(operation, schemas));
    let mut problems = problems::of(operation);
    for other in description.other_answers {
        let types = problems.remove(&other.status).unwrap_or_default();
        responses.insert(other.status.to_string(), other_answer(other, &types, schemas));
    }
    for (status, types) in problems {
        responses.insert(status.to_string(), shared_problem(status, &types, schemas, shared));
    }
    Value::Object(responses)
}

fn success(operation: &Documented, schemas: &mut Schemas) -> Value {
    let Answer { details, media_type, schema, example, has_tag, .. } = &operation.description.answer;
    let schema = schema.map_or_else(|| json!({ "type": "string" }), |schema| schemas.response(schema).to_value());
    let media = json!({ "schema": schema });
    let media = if let Some(example) = example { with(media, "example", parsed(example)) } else { media };
    let limits = if operation.needs_token { &["RateLimit", "RateLimit-Policy"][..] } else { &[] };
    let tag = if *has_tag { &["ETag"][..] } else { &[] };
    let response = json!({ "description": details, "content": { *media_type: media } });
    let links = operation.description.links.iter().map(|(target, parameter, value)| {
        ((*target).to_owned(), json!({ "operationId": target, "parameters": { *parameter: value } }))
    });
    with(with(response, "headers", headers(limits.iter().chain(tag))), "links", links.collect::<Map<_, _>>())
}

fn headers<'a>(names: impl Iterator<Item = &'a &'a str>) -> Map<String, Value> {
    names.map(|name| components::header(name)).collect()
}

/// A reference to the response with these problems, which many operations have.
fn shared_problem(status: u16, types: &[ProblemType], schemas: &mut Schemas, shared: &mut Map<String, Value>) -> Value {
    let names: Vec<_> = types.iter().map(|problem| format!("{problem:?}")).collect();
    let name = names.join("Or");
    shared.entry(&name).or_insert_with(|| problem_response(status, types, schemas));
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn problem_response(status: u16, types: &[ProblemType], schemas: &mut Schemas) -> Value {
    let response = json!({
        "description": titles(types),
        "content": { PROBLEM: problem_media(status, types, schemas) },
    });
    with(response, "headers", headers(components::headers_of(status).iter()))
}

fn titles(types: &[ProblemType]) -> String {
    let titles: Vec<_> = types.iter().map(|problem| problem.title()).collect();
    format!("{}.", titles.join(", or: "))
}

fn problem_media(status: u16, types: &[ProblemType], schemas: &mut Schemas) -> Value {
    let mut schema = schemas.response(Problem::schema);
    let mut urns: Vec<_> = types.iter().map(|problem| problem.urn()).collect();
    urns.dedup();
    schema.insert("properties".to_owned(), json!({ "type": { "enum": urns } }));
    let examples = types.iter().map(|problem| {
        let detail = format!("{}.", problem.title());
        let value = json!({ "type": problem.urn(), "title": problem.title(), "status": status, "detail": detail });
        (format!("{problem:?}"), json!({ "value": value }))
    });
    json!({ "schema": schema, "examples": Value::Object(examples.collect()) })
}

/// An answer, beside which the status may also be that of problems.
fn other_answer(other: &OtherAnswer, problems: &[ProblemType], schemas: &mut Schemas) -> Value {
    let mut types = problems.to_vec();
    let mut content = Map::new();
    match other.body {
        Refusal::Empty => {}
        Refusal::Json(schema, example) => {
            let schema: Schema = schemas.response(schema);
            content.insert(JSON.to_owned(), json!({ "schema": schema, "example": parsed(example) }));
        }
        Refusal::Problem(problem) => types.push(problem),
        Refusal::Page => {
            content.insert(HTML.to_owned(), json!({ "schema": { "type": "string" } }));
        }
    }
    if !types.is_empty() {
        content.insert(PROBLEM.to_owned(), problem_media(other.status, &types, schemas));
    }
    let mut details = other.details.to_owned();
    if !problems.is_empty() {
        details = format!("{details} {}", titles(problems));
    }
    let response = with(json!({ "description": details }), "content", content);
    with(response, "headers", headers(components::headers_of(other.status).iter()))
}

/// The value of an example. A test parses all of them.
fn parsed(example: &str) -> Value {
    serde_json::from_str(example).unwrap_or_default()
}
