//! Secrets in JSON: `#[serde(with = "crate::json::secret")]`. Only files and requests that hold a secret on purpose use
//! this; a [`Secret`] alone cannot be written.

use serde::{Deserialize, Deserializer, Serializer};

use crate::domain::Secret;

/// Writes the secret itself.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// Reads a secret.
///
/// # Errors
/// The value is no string.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// The same for secrets that may be missing: `#[serde(default, with = "crate::json::secret::optional")]`.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Secret;

    /// Writes the secret itself, and a missing one as `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    #[allow(clippy::ref_option)] // the signature that serde asks for
    pub fn serialize<S: Serializer>(secret: &Option<Secret<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => super::serialize(secret, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a secret, and `null` as a missing one.
    ///
    /// # Errors
    /// The value is neither a string nor `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
