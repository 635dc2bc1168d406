//! Reads the JSON of callers strictly, and names the field that is wrong.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::{ErrorDetail, Problem};
use crate::json::StrictObject;

/// Reads an object. Unknown and duplicate fields are errors: a caller that writes `endpiont` would otherwise not notice
/// that its endpoint is ignored.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    // Only the second, slower parse knows the field at which the first one failed.
    let StrictObject(value) = serde_json::from_slice(json).map_err(|_| explain::<T>(json))?;
    Ok(value)
}

/// The problem with a text that is not a `T`. It repeats no value of the caller, because that may be a secret.
pub(crate) fn explain<T: DeserializeOwned>(json: &[u8]) -> Problem {
    let mut json = serde_json::Deserializer::from_slice(json);
    let Err(error) = serde_path_to_error::deserialize::<_, StrictObject<T>>(&mut json) else {
        return Problem::malformed_json(json.end().err().map_or_else(String::new, |e| e.to_string()));
    };
    let (pointer, error) = (pointer(error.path()), error.into_inner());
    match pointer {
        Some(pointer) if error.is_data() || (error.is_syntax() && !pointer.is_empty()) => {
            Problem::invalid(vec![field_error(pointer, &error.to_string())])
        }
        _ => Problem::malformed_json(error),
    }
}

/// Translates serde's message. The message may quote the caller, so it is parsed from its end.
fn field_error(mut pointer: String, message: &str) -> ErrorDetail {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let detail = match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("unknown field ") => {
            format!("is not a known field; expected {expected}")
        }
        Some((_, "u32")) => "must be a whole number".to_owned(),
        Some((_, expected)) => format!("must be {expected}"),
        None => match message.strip_prefix("duplicate field `") {
            Some(name) => {
                pointer.push('/');
                pointer.push_str(name.trim_end_matches('`'));
                "is given twice".to_owned()
            }
            None => format!("is not accepted: {message}"),
        },
    };
    ErrorDetail { pointer, detail }
}

/// The path as a JSON pointer (RFC 6901). A place between two fields has none.
fn pointer(path: &serde_path_to_error::Path) -> Option<String> {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => return None,
        }
    }
    Some(pointer)
}
