//! What the schemas of MCP and of OpenAPI have in common.

use schemars::Schema;
use serde_json::Value;

/// Removes a format that only Rust uses, such as `uint32`.
pub(crate) fn remove_rust_formats(schema: &mut Schema) {
    let known = |format: &str| matches!(format, "uuid" | "uri" | "date-time");
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| !known(format)) {
        schema.remove("format");
    }
}
