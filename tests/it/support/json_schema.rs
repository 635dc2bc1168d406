//! The part of JSON Schema that the published schemas of the host's files use. Any other keyword fails the test.

use serde_json::Value;

/// Checks a document against a schema. The error says where the document is wrong and why.
pub fn check(schema: &Value, document: &Value) -> Result<(), String> {
    matches(schema, schema, document, "")
}

fn matches(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let rules = schema.as_object().unwrap();
    if let Some(reference) = rules.get("$ref") {
        return matches(root, root.pointer(&reference.as_str().unwrap()[1..]).unwrap(), value, at);
    }
    let part = |schema: &Value, value: &Value, step: &str| matches(root, schema, value, &format!("{at}/{step}"));
    let members = || value.as_object().into_iter().flatten();
    for (word, rule) in rules {
        let list = || rule.as_array().unwrap().iter();
        let holds = match word.as_str() {
            "properties" => {
                let known = members().filter_map(|(name, member)| Some((name, member, rule.get(name)?)));
                known.into_iter().try_for_each(|(name, member, rule)| part(rule, member, name))?;
                true
            }
            "additionalProperties" => {
                let mut others = members().filter(|(name, _)| rules["properties"].get(name.as_str()).is_none());
                if rule.is_object() {
                    others.try_for_each(|(name, member)| part(rule, member, name))?;
                    true
                } else {
                    rule == true || others.next().is_none()
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    let rule = if rule.is_array() { rule.get(i) } else { Some(rule) };
                    rule.map_or(Ok(()), |rule| part(rule, item, &i.to_string()))?;
                }
                true
            }
            "allOf" => {
                list().try_for_each(|rule| part(rule, value, "allOf"))?;
                true
            }
            "oneOf" => list().filter(|rule| part(rule, value, "oneOf").is_ok()).count() == 1,
            "not" => part(rule, value, "not").is_err(),
            _ => alone(word, rule, value),
        };
        if !holds {
            return Err(format!("{at} breaks {word}: {value}"));
        }
    }
    Ok(())
}

/// The keywords about a single value.
fn alone(word: &str, rule: &Value, value: &Value) -> bool {
    let number = |holds: fn(f64, f64) -> bool| value.as_f64().is_none_or(|n| holds(n, rule.as_f64().unwrap()));
    match word {
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("what is a {other}?"),
        },
        "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "minimum" => number(|n, least| n >= least),
        "maximum" => number(|n, most| n <= most),
        // All patterns of these schemas describe a time span.
        "pattern" => value.as_str().is_none_or(is_time_span),
        "$schema" | "$id" | "id" | "title" | "description" | "default" | "definitions" | "examples" => true,
        other => panic!("the schema says {other}, which is not known here"),
    }
}

/// `hh:mm:ss`
fn is_time_span(text: &str) -> bool {
    text.len() == 8 && text.split(':').all(|part| part.len() == 2 && part.parse::<u8>().is_ok_and(|n| n < 60))
}
