//! The field `successWhen` of a schedule request.

use schemars::JsonSchema;
use serde_json::Value;

use super::field_errors::FieldErrors;
use super::value::kind;
use super::{FromObject, ObjectReader, Synonyms};
use crate::domain::{Expected, SuccessWhen};
use crate::json::RawJson;

/// The check on the JSON body of a 2xx response. Give exactly one of equals and absent.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuccessWhenRequest {
    /// A JSON pointer into the response, such as /ok.
    #[schemars(required, length(max = SuccessWhen::MAX_POINTER))]
    pub pointer: Option<String>,
    /// The string, number or boolean that must be there.
    #[schemars(
        with = "Option<Value>",
        extend("anyOf" = [{ "type": "string" }, { "type": "number" }, { "type": "boolean" }])
    )]
    pub equals: Option<RawJson>,
    /// true if nothing, or null, must be there.
    pub absent: Option<bool>,
}

impl FromObject for SuccessWhenRequest {
    const SYNONYMS: Synonyms = &[
        ("pointer", &["path", "jsonpointer", "jsonpath", "field", "key"]),
        ("equals", &["equal", "value", "is", "equalto", "eq"]),
        ("absent", &["missing", "notpresent", "exists", "present"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { pointer: object.string("pointer"), equals: object.json("equals"), absent: object.boolean("absent") }
    }
}

impl SuccessWhenRequest {
    /// An example for callers.
    pub(super) const EXAMPLE: &'static str = r#"{"pointer": "/ok", "equals": true}"#;

    pub(super) fn check(self, errors: &mut FieldErrors) -> Option<SuccessWhen> {
        let pointer = self.pointer.ok_or_else(|| "is required: a JSON pointer such as /ok".to_owned());
        let pointer = pointer.and_then(|pointer| SuccessWhen::check_pointer(&pointer).map(|()| pointer));
        let pointer = errors.check("/successWhen/pointer", pointer);
        let expected = match (self.equals, self.absent) {
            (Some(json), None) => {
                let checked = check_equals(&json).map(|()| Expected::Equals(json.into_text()));
                errors.check("/successWhen/equals", checked)
            }
            (None, Some(true)) => Some(Expected::Absent),
            (None, Some(false)) => {
                errors.add("/successWhen/absent", "must be true; use equals for a value that must be there");
                None
            }
            _ => {
                errors.add("/successWhen", "must have exactly one of equals and absent");
                None
            }
        };
        Some(SuccessWhen { pointer: pointer?, expected: expected? })
    }
}

fn check_equals(json: &RawJson) -> Result<(), String> {
    if json.as_str().starts_with(['{', '[']) {
        return Err(format!("must be a string, a number or a boolean, not {}", kind(json.as_str())));
    }
    json.check_within(SuccessWhen::MAX_EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pointer: &str, equals: Option<&str>, absent: Option<bool>) -> Result<SuccessWhen, Vec<String>> {
        let equals = equals.map(|json| serde_json::from_str(json).unwrap());
        let request = SuccessWhenRequest { pointer: Some(pointer.to_owned()), equals, absent };
        let mut errors = FieldErrors::default();
        let checked = request.check(&mut errors);
        let errors: Vec<_> = errors.0.into_iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect();
        checked.filter(|_| errors.is_empty()).ok_or(errors)
    }

    #[test]
    fn exactly_one_of_equals_and_absent_is_accepted() {
        for json in ["true", "\"ok\"", "1.50", "\"\""] {
            let expected = Expected::Equals(json.to_owned());
            assert_eq!(checked("/a", Some(json), None), Ok(SuccessWhen { pointer: "/a".to_owned(), expected }));
        }
        let absent = SuccessWhen { pointer: String::new(), expected: Expected::Absent };
        assert_eq!(checked("", None, Some(true)), Ok(absent));
        for (equals, absent) in [(None, None), (Some("1"), Some(true)), (Some("1"), Some(false))] {
            let errors = checked("/a", equals, absent).unwrap_err();
            assert_eq!(errors, ["/successWhen must have exactly one of equals and absent"]);
        }
        let errors = checked("a", None, Some(false)).unwrap_err();
        assert!(errors[0].starts_with("/successWhen/pointer is not a JSON pointer"), "{errors:?}");
        assert_eq!(errors[1], "/successWhen/absent must be true; use equals for a value that must be there");
        for bad in ["{}", "[1]", "1e400", "\"\\ud800\"", &format!("\"{}\"", "x".repeat(1024))] {
            let errors = checked("/a", Some(bad), None).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with("/successWhen/equals "), "{errors:?}");
        }
    }
}
