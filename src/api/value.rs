//! The values of a caller's fields, and the errors in them.

use std::ops::RangeInclusive;

use crate::json::RawJson;

/// A string that is cut in the middle of a character outside of the basic multilingual plane.
pub(super) const HALF_CHARACTER: &str = "has an escape such as \\ud83d that is only half of a character";

/// The value of a field.
#[derive(Default)]
pub(super) enum Value<'a> {
    /// JSON, as it was written.
    Json(&'a str),
    /// A parameter of a query string.
    Parameter(String),
    /// The value was taken, or the body ends inside of it.
    #[default]
    Absent,
}

impl Value<'_> {
    /// Clients send `null` and empty parameters for fields that they do not set.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            Self::Json(json) => *json == "null",
            Self::Parameter(text) => text.is_empty(),
            Self::Absent => true,
        }
    }

    pub(super) fn into_string(self) -> Result<String, String> {
        match self {
            Self::Json(json) if json.starts_with('"') => {
                serde_json::from_str(json).map_err(|_| HALF_CHARACTER.to_owned())
            }
            Self::Json(json) => Err(format!("must be a string, not {}", kind(json))),
            Self::Parameter(text) => Ok(text),
            Self::Absent => Err("must be a string".to_owned()),
        }
    }

    /// A JSON string as the same text in a query, and everything else as it is.
    pub(super) fn into_query_value(self) -> Self {
        match self {
            Self::Json(json) if json.starts_with('"') => {
                serde_json::from_str(json).map_or(Self::Json(json), Self::Parameter)
            }
            other => other,
        }
    }

    /// The text of a string, or any other JSON as it was written.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Json(json) => serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
            Self::Parameter(text) => text,
            Self::Absent => String::new(),
        }
    }

    pub(super) fn into_string_or_number(self) -> Result<String, String> {
        match self {
            Self::Json(json) if kind(json) == NUMBER => Ok(json.to_owned()),
            other => other.into_string(),
        }
    }

    /// A number without a fraction, in whichever form: many programs write whole numbers as `5.0`.
    pub(super) fn into_whole_number(self, range: &RangeInclusive<u32>) -> Result<u32, String> {
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        let (text, shown) = match &self {
            Self::Json(json) if kind(json) != NUMBER => return Err(format!("must be {rule}, not {}", kind(json))),
            Self::Json(json) if json.len() <= 20 => (*json, Some(*json)),
            Self::Json(json) => (*json, None),
            Self::Parameter(text) => (text.as_str(), None),
            Self::Absent => return Err(format!("must be {rule}")),
        };
        let number = serde_json::from_str::<f64>(text).ok().filter(|number| number.fract() == 0.0);
        let bounds = f64::from(*range.start())..=f64::from(*range.end());
        match number.filter(|number| bounds.contains(number)) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a whole number within the range
            Some(number) => Ok(number as u32),
            None => {
                Err(shown.map_or_else(|| format!("must be {rule}"), |text| format!("is {text}; it must be {rule}")))
            }
        }
    }

    pub(super) fn into_boolean(self) -> Result<bool, String> {
        match self {
            Self::Json("true") => Ok(true),
            Self::Json("false") => Ok(false),
            Self::Json(json) => Err(format!("must be true or false, not {}", kind(json))),
            Self::Parameter(text) if text == "true" => Ok(true),
            Self::Parameter(text) if text == "false" => Ok(false),
            Self::Parameter(_) | Self::Absent => Err("must be true or false".to_owned()),
        }
    }

    pub(super) fn into_json(self) -> Result<RawJson, String> {
        match self {
            Self::Json(json) => serde_json::from_str(json).map_err(|_| HALF_CHARACTER.to_owned()),
            Self::Parameter(_) | Self::Absent => Err("must be JSON".to_owned()),
        }
    }
}

const NUMBER: &str = "a number";

/// The type of a JSON value.
pub(super) fn kind(json: &str) -> &'static str {
    match json.bytes().next() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => NUMBER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_accepted_in_every_form_and_within_the_range() {
        let read = |json: &str| Value::Json(json).into_whole_number(&(1..=60));
        for (json, number) in [("1", 1), ("60", 60), ("5.0", 5), ("30.000", 30), ("3e1", 30), ("0.5e1", 5)] {
            assert_eq!(read(json), Ok(number), "{json}");
        }
        let rule = "a whole number from 1 to 60";
        for json in ["0", "61", "-1", "-0", "30.5", "60.1", "1e400", "-1e400", "4294967297"] {
            assert_eq!(read(json), Err(format!("is {json}; it must be {rule}")), "{json}");
        }
        assert_eq!(read("99999999999999999999999"), Err(format!("must be {rule}")), "a long number is not repeated");
        for (json, kind) in [("\"5\"", "a string"), ("true", "a boolean"), ("[5]", "an array"), ("{}", "an object")] {
            assert_eq!(read(json), Err(format!("must be {rule}, not {kind}")), "{json}");
        }
        let parameter = |text: &str| Value::Parameter(text.to_owned()).into_whole_number(&(1..=60));
        assert_eq!((parameter("5"), parameter("5.0")), (Ok(5), Ok(5)));
        for text in ["0", "five", "0x5", "1e400", "1,0", "NaN", "inf"] {
            assert_eq!(parameter(text), Err(format!("must be {rule}")), "{text}");
        }
    }

    #[test]
    fn a_number_in_a_string_is_read_as_in_a_query() {
        let read = |json: &'static str| Value::Json(json).into_query_value().into_whole_number(&(1..=60));
        assert_eq!((read("\"10\""), read("10")), (Ok(10), Ok(10)));
        for json in ["\"ten\"", "\"61\"", "\"\"", "\"\\ud800\"", "true"] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_boolean_is_true_or_false_in_json_and_in_a_query() {
        let parameter = |text: &str| Value::Parameter(text.to_owned()).into_boolean();
        for (text, value) in [("true", true), ("false", false)] {
            assert_eq!((Value::Json(text).into_boolean(), parameter(text)), (Ok(value), Ok(value)));
        }
        for text in ["1", "True", "yes", "\"true\""] {
            assert!(Value::Json(text).into_boolean().is_err() && parameter(text).is_err(), "{text}");
        }
    }
}
