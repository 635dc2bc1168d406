//! Objects of strings whose order and repeated names are kept: `#[serde(with = "crate::json::pairs")]`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};

/// Names and values, in order.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// More pairs than this are read, but no room is reserved for them ahead.
const RESERVED: usize = 32;

/// Writes pairs as an object.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(pairs: &Pairs<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// Reads an object as pairs.
///
/// # Errors
/// The value is no object of strings.
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
