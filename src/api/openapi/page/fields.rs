//! The fields of an object, as a table.

use serde_json::Value;

use super::html::{code, text};
use super::{items, members, resolved, string};

/// The deepest object whose fields are listed below those of the object it is in.
const MAX_DEPTH: usize = 3;

/// The table of the fields of a schema; empty if it has none.
pub(super) fn table(document: &Value, schema: &Value) -> String {
    let rows = rows(document, schema, "", MAX_DEPTH);
    if rows.is_empty() {
        return String::new();
    }
    format!("<table>\n<tr><th>Field<th>Type<th>Meaning\n{rows}</table>\n")
}

fn rows(document: &Value, schema: &Value, prefix: &str, depth: usize) -> String {
    let schema = resolved(document, schema);
    let required: Vec<_> = items(schema, "/required").filter_map(Value::as_str).collect();
    let mut rows = String::new();
    for (name, field) in members(schema, "/properties") {
        let (path, inner) = (format!("{prefix}{name}"), inner(document, field));
        let mark = if required.contains(&name.as_str()) { " <b>required</b>" } else { "" };
        let meaning =
            [string(field, "/description"), string(inner, "/description")].into_iter().find(|it| !it.is_empty());
        rows += &row(&format!("{}{mark}", code(&path)), &kind(document, field), meaning.unwrap_or_default());
        if depth > 1 {
            let list = if inner.get("type").is_some_and(|kind| kind == "array") { "[]" } else { "" };
            let item = inner.get("items").map_or(inner, |item| resolved(document, item));
            rows += &self::rows(document, item, &format!("{path}{list}."), depth - 1);
        }
    }
    rows
}

pub(super) fn row(name: &str, kind: &str, meaning: &str) -> String {
    format!("<tr><td>{name}<td>{}<td>{}\n", text(kind), text(meaning))
}

/// The schema of a field, without the alternative null.
fn inner<'a>(document: &'a Value, field: &'a Value) -> &'a Value {
    let not_null = |one: &&Value| one.get("type").is_none_or(|kind| kind != "null");
    let mut alternatives = items(field, "/anyOf").filter(not_null);
    resolved(document, alternatives.next().filter(|_| alternatives.next().is_none()).unwrap_or(field))
}

/// The type of a field and its limits, in words.
pub(super) fn kind(document: &Value, field: &Value) -> String {
    let schema = inner(document, field);
    let names: Vec<_> = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        _ => items(schema, "/anyOf").map(|one| string(one, "/type")).filter(|name| *name != "null").collect(),
    };
    let mut words = vec![if names.is_empty() { "any JSON".to_owned() } else { names.join(" or ") }];
    let values: Vec<_> = items(schema, "/enum").filter_map(Value::as_str).collect();
    words.extend((!values.is_empty()).then(|| values.join(" | ")));
    words.extend(schema.get("format").and_then(Value::as_str).map(str::to_owned));
    for (keyword, limit, unit) in [
        ("minimum", "at least", ""),
        ("maximum", "at most", ""),
        ("maxLength", "at most", " characters"),
        ("maxItems", "at most", " items"),
        ("maxProperties", "at most", " members"),
    ] {
        words.extend(schema.get(keyword).map(|value| format!("{limit} {value}{unit}")));
    }
    words.join(", ")
}
