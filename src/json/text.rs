//! Values that are serialised as text: `#[serde(with = "crate::json::text")]`.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a value with its `Display`.
///
/// # Errors
/// The errors of the serializer.
pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a value with its `FromStr`.
///
/// # Errors
/// The value is not a string, or `FromStr` does not accept it.
pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// The same for optional values: `#[serde(default, with = "crate::json::text::optional")]`.
pub mod optional {
    use super::{Cow, Deserialize, Deserializer, Display, FromStr, Serializer};
    use serde::de::Error as _;

    /// Writes a value with its `Display`, or `null` if there is none.
    ///
    /// # Errors
    /// The errors of the serializer.
    #[allow(clippy::ref_option)] // the signature that serde asks for
    pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a value with its `FromStr`, or `null` as none.
    ///
    /// # Errors
    /// The value is neither a string nor `null`, or `FromStr` does not accept it.
    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<Cow<'_, str>>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
