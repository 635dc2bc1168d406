//! The schemas of the document.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::SchemaOf;
use crate::api::remove_rust_formats;

/// Collects the schemas that the document refers to.
pub(super) struct Schemas {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
}

impl Schemas {
    const PATH: &str = "/components/schemas";

    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = Self::PATH.into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            responses: settings().for_serialize().into_generator(),
        }
    }

    pub(super) fn request(&mut self, schema: SchemaOf) -> Schema {
        schema(&mut self.requests)
    }

    /// The schema itself, for parameters.
    pub(super) fn resolved_request(&mut self, schema: SchemaOf) -> Map<String, Value> {
        let reference = schema(&mut self.requests);
        let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        let found = name.and_then(|name| self.requests.definitions_mut().remove(name));
        let mut found = Schema::try_from(found.unwrap_or_default()).unwrap_or_default();
        improve(&mut found, never_null);
        found.to_value().as_object().cloned().unwrap_or_default()
    }

    pub(super) fn response(&mut self, schema: SchemaOf) -> Schema {
        schema(&mut self.responses)
    }

    /// All schemas, by name.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        let requests = finished(self.requests.take_definitions(true), required_never_null);
        let responses = finished(self.responses.take_definitions(true), absent_never_null);
        responses.into_iter().chain(requests).collect()
    }
}

fn finished(definitions: Map<String, Value>, rule: fn(&mut Schema)) -> Map<String, Value> {
    let finish = |(name, schema)| {
        let mut schema = Schema::try_from(schema).unwrap_or_default();
        improve(&mut schema, rule);
        (name, schema.to_value())
    };
    definitions.into_iter().map(finish).collect()
}

fn improve(schema: &mut Schema, rule: fn(&mut Schema)) {
    RecursiveTransform(|schema: &mut Schema| {
        remove_rust_formats(schema);
        allow_null_in_enum(schema);
        rule(schema);
    })
    .transform(schema);
}

/// The enum of a value that may be null names null too.
fn allow_null_in_enum(schema: &mut Schema) {
    let is_nullable = schema.get("type").and_then(Value::as_array).is_some_and(|types| types.contains(&"null".into()));
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut)
        && is_nullable
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// For requests: `null` counts as an absent field, so only a field that may be absent may be `null`.
fn required_never_null(schema: &mut Schema) {
    each_property(schema, |is_required, property| {
        if is_required {
            remove_null(property);
        }
    });
}

/// For responses: a field that is left out when there is no value is never `null`.
fn absent_never_null(schema: &mut Schema) {
    each_property(schema, |is_required, property| {
        if !is_required {
            remove_null(property);
        }
    });
}

/// For parameters of a query, which cannot be null.
fn never_null(schema: &mut Schema) {
    each_property(schema, |_, property| remove_null(property));
}

fn each_property(schema: &mut Schema, change: impl Fn(bool, &mut Map<String, Value>)) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        // Generators of clients do not read the short form of a schema that allows everything.
        if *property == Value::Bool(true) {
            *property = Value::Object(Map::new());
        }
        if let Some(property) = property.as_object_mut() {
            change(required.contains(&name.as_str().into()), property);
        }
    }
}

/// Removes null from the types of a schema, and from its alternatives.
fn remove_null(schema: &mut Map<String, Value>) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    let Some(alternatives) = schema.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    alternatives.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
    if let [one] = alternatives.as_slice() {
        let one = one.as_object().cloned().unwrap_or_default();
        schema.remove("anyOf");
        schema.extend(one);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(rule: fn(&mut Schema), schema: Value) -> Value {
        let mut schema = Schema::try_from(schema).unwrap();
        improve(&mut schema, rule);
        schema.to_value()
    }

    #[test]
    fn null_stays_only_where_it_may_be() {
        let object = |a: Value, b: Value| json!({ "required": ["a"], "properties": { "a": a, "b": b } });
        let nullable = json!({ "type": ["string", "null"], "enum": ["x"] });
        let (with_null, without) =
            (json!({ "type": ["string", "null"], "enum": ["x", null] }), json!({ "type": "string", "enum": ["x"] }));
        for (rule, a, b) in [
            (required_never_null as fn(&mut Schema), &without, &with_null),
            (absent_never_null, &with_null, &without),
            (never_null, &without, &without),
        ] {
            let changed = changed(rule, object(nullable.clone(), nullable.clone()));
            assert_eq!(changed, object(a.clone(), b.clone()));
        }
    }

    #[test]
    fn a_reference_beside_null_becomes_the_reference() {
        let reference = json!({ "anyOf": [{ "$ref": "#/x" }, { "type": "null" }], "description": "An x." });
        let object = json!({ "properties": { "x": reference } });
        let plain = json!({ "properties": { "x": { "$ref": "#/x", "description": "An x." } } });
        assert_eq!(changed(absent_never_null, object), plain);
    }
}
