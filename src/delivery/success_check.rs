//! The caller's check on a response: some endpoints answer 200 and say in the body that they failed.
//!
//! | the body | `equals` | `absent` |
//! |---|---|---|
//! | has the value at the pointer | met | not met |
//! | has another value there | not met | not met, unless it is `null` |
//! | has nothing there | not met | met |
//! | is empty | not met | met |
//! | is not JSON, not complete or too large | not met | not met |

use serde_json::Value;

use crate::domain::{Expected, SuccessWhen};

/// Whether a response meets the check. The body is `None` if it is not complete or too large.
pub(super) fn is_met(check: &SuccessWhen, body: Option<&[u8]>) -> bool {
    let Some(body) = body else { return false };
    let parsed = match serde_json::from_slice::<Value>(body) {
        Ok(parsed) => parsed,
        Err(_) if body.trim_ascii().is_empty() => Value::Null,
        Err(_) => return false,
    };
    let found = parsed.pointer(&check.pointer).unwrap_or(&Value::Null);
    match &check.expected {
        Expected::Absent => found.is_null(),
        Expected::Equals(expected) => {
            serde_json::from_str(expected).is_ok_and(|expected: Value| are_equal(&expected, found))
        }
    }
}

/// Whether two values are equal. `1` and `1.0` are: many programs write whole numbers in the other form.
fn are_equal(a: &Value, b: &Value) -> bool {
    a == b || ((a.is_f64() || b.is_f64()) && a.as_f64().is_some() && a.as_f64() == b.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(pointer: &str, equals: Option<&str>, body: &str) -> bool {
        let expected = equals.map_or(Expected::Absent, |json| Expected::Equals(json.to_owned()));
        is_met(&SuccessWhen { pointer: pointer.to_owned(), expected }, Some(body.as_bytes()))
    }

    #[test]
    fn a_value_is_compared_and_not_its_text() {
        for (json, body) in [
            ("true", r#"{"a":{"b":[0, true]}}"#),
            ("\"\\u00e9\"", r#"{"a":{"b":[0,"é"]}}"#),
            ("1", r#"{"a":{"b":[0,1.0]}}"#),
            ("1.50", r#"{"a":{"b":[0,1.5]}}"#),
            ("9007199254740993", r#"{"a":{"b":[0,9007199254740993]}}"#),
        ] {
            assert!(met("/a/b/1", Some(json), body), "{json}");
        }
        for (json, body) in [
            ("true", r#"{"a":{"b":[0,"true"]}}"#),
            ("true", r#"{"a":{"b":[true]}}"#),
            ("true", r#"{"a":{"b":[0,false]}}"#),
            ("9007199254740993", r#"{"a":{"b":[0,9007199254740992]}}"#),
            ("\"x\"", r#"{"a":{"b":[0,null]}}"#),
            ("true", "[]"),
        ] {
            assert!(!met("/a/b/1", Some(json), body), "{json} {body}");
        }
        assert!(met("", Some("\"ok\""), "\"ok\""));
        assert!(met("/a~1b", Some("1"), r#"{"a/b":1}"#));
    }

    #[test]
    fn absent_is_nothing_or_null_in_a_body_that_can_be_read() {
        for body in [r#"{"result":1}"#, r#"{"error":null}"#, "[]", "7", "", " \r\n"] {
            assert!(met("/error", None, body), "{body}");
        }
        for body in [r#"{"error":{"code":-32601}}"#, r#"{"error":false}"#, "<html>", "{", r#"{"error":"#, "\u{feff}{}"]
        {
            assert!(!met("/error", None, body), "{body}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_read_meets_nothing() {
        for body in ["", "ok", "{\"ok\":true", "true false"] {
            assert!(!met("/ok", Some("true"), body), "{body}");
        }
        for expected in [Expected::Absent, Expected::Equals("true".to_owned())] {
            assert!(!is_met(&SuccessWhen { pointer: "/ok".to_owned(), expected }, None));
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(!met("/error", None, &deep));
    }
}
