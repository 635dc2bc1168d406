//! The document of the API: every answer that a test gets must be one that the document describes.

use std::sync::LazyLock;

use http::Method;
use mcp_scheduler::http::openapi_document;
use serde_json::{Map, Value};

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi_document);

/// Asserts that the operation of this request may answer with this status, and with a problem of this type.
#[track_caller]
pub fn check(method: &Method, path: &str, status: u16, problem: Option<&Value>) {
    let method = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_ascii_lowercase() };
    let Some(operation) = find(&method, path) else { return };
    let response = resolved(&operation["responses"][status.to_string()]);
    assert!(response.is_object(), "{method} {path}: the document has no answer {status}");
    if let Some(problem) = problem {
        let media = &response["content"]["application/problem+json"];
        let types = media["schema"]["properties"]["type"]["enum"].as_array().cloned().unwrap_or_default();
        assert!(types.contains(problem), "{method} {path}: the document has no {problem} with {status}");
    }
}

/// The operation of a request. A literal path comes before one with a parameter.
fn find(method: &str, path: &str) -> Option<&'static Value> {
    let paths: &'static Map<String, Value> = DOCUMENT["paths"].as_object().unwrap();
    let found =
        paths.get(path).or_else(|| paths.iter().find(|(template, _)| matches(template, path)).map(|(_, item)| item));
    found.and_then(|item| item.get(method))
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(expected, part)| *expected == part || (expected.starts_with('{') && !part.is_empty()))
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}
