//! JSON values that keep the exact text of their caller.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value exactly as its caller wrote it. Number formats and the order of keys are preserved, because a receiver
/// may hash or compare the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// The largest value accepted where no other limit is named, in bytes of JSON text.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The deepest nesting accepted.
    pub const MAX_DEPTH: usize = 32;

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The JSON text as an owned string.
    #[must_use]
    pub fn into_text(self) -> String {
        Box::<str>::from(self.0).into_string()
    }

    /// Checks rules that are not part of the JSON grammar: size, depth, duplicate keys, lone surrogates.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the name of the field. It says which rule is broken.
    pub fn check(&self) -> Result<(), String> {
        self.check_within(Self::MAX_BYTES)
    }

    /// The same with another limit on the bytes of JSON text.
    ///
    /// # Errors
    /// See [`RawJson::check`].
    pub fn check_within(&self, max_bytes: usize) -> Result<(), String> {
        let text = self.as_str();
        if text.len() > max_bytes {
            return Err(format!("has {} bytes of JSON; at most {max_bytes} bytes are accepted", text.len()));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        StrictValue { depth: 0 }.deserialize(&mut json).map_err(|e| {
            if !e.is_data() {
                return "has a number that is too large, or an escape such as \\ud83d that is only half of a character"
                    .to_owned();
            }
            // serde_json appends " at line 1 column 7". That position is useless to the caller, because it counts from
            // the start of this value.
            let message = e.to_string();
            message.split(" at line ").next().unwrap_or_default().to_owned()
        })
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RawJson {}

/// Checks a value while it is parsed. It stores only the keys of the open objects, to find duplicates.
struct StrictValue {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl StrictValue {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.depth < RawJson::MAX_DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(E::custom(format_args!("is nested deeper than {} levels", RawJson::MAX_DEPTH)))
        }
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while seq.next_element_seed(Self { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Self { depth })?;
            if let Some(key) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("has the key {key:?} twice in one object")));
            }
        }
        Ok(())
    }
}

/// Serialises a text that contains JSON as that JSON, and not as a string.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'a>(pub &'a str);

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for JsonText<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), String> {
        serde_json::from_str::<RawJson>(text).unwrap().check()
    }

    #[test]
    fn valid_values_pass_and_keep_their_text() {
        for text in ["null", "1e400", "18446744073709551616", r#"{"b":1.0,"a":[true,"x"]}"#, r#"{"__proto__":{}}"#] {
            let value: RawJson = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            if text != "1e400" {
                assert_eq!(value.check(), Ok(()), "{text}");
            }
        }
    }

    #[test]
    fn the_error_names_the_broken_rule() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(check(&deep(32)), Ok(()));
        assert!(check(&deep(33)).unwrap_err().contains("deeper than 32"));
        assert!(check(r#"{"a":{"b":1,"b":2}}"#).unwrap_err().contains("\"b\" twice"));
        for bad in [r#"["\ud800"]"#, r#"{"\ud800":1}"#, "1e400", "[-1e999]"] {
            assert!(check(bad).unwrap_err().starts_with("has a number that is too large, or an escape"), "{bad}");
        }
        assert!(check(&format!("\"{}\"", "x".repeat(RawJson::MAX_BYTES))).unwrap_err().contains("16384"));
    }
}
