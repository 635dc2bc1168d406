//! JSON objects of strings that keep their order and duplicate names: `#[serde(with = "crate::json::pairs")]`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};

/// Names and values, in the order of the JSON text.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Memory is reserved in advance for at most this many pairs, so that a wrong size hint costs nothing. More are
/// accepted.
const RESERVED: usize = 32;

/// Writes pairs as a JSON object.
///
/// # Errors
/// The errors of the serializer.
pub fn serialize<S: Serializer>(pairs: &Pairs<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// Reads a JSON object as pairs.
///
/// # Errors
/// The value is not an object of strings.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pairs<'static>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Pairs<'static>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of header names and string values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(RESERVED));
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                entries.push((name.into(), value.into()));
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries)
}
