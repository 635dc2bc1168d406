//! Secrets in JSON: `#[serde(with = "crate::json::secret")]`. Only files and requests that must contain a secret use
//! this. Without it a [`Secret`] cannot be serialised.

use serde::{Deserialize, Deserializer, Serializer};

use crate::domain::Secret;

/// Writes the value of the secret.
///
/// # Errors
/// The errors of the serializer.
pub fn serialize<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// Reads a secret.
///
/// # Errors
/// The value is not a string.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// The same for lists of secrets.
pub mod list {
    use serde::Serializer;

    use crate::domain::Secret;

    /// Writes the values of the secrets.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(secrets: &[Secret<String>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(secrets.iter().map(Secret::expose))
    }
}

/// The same for optional secrets: `#[serde(default, with = "crate::json::secret::optional")]`.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Secret;

    /// Writes the value of the secret, or `null` if there is none.
    ///
    /// # Errors
    /// The errors of the serializer.
    #[allow(clippy::ref_option)] // the signature that serde asks for
    pub fn serialize<S: Serializer>(secret: &Option<Secret<String>>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => super::serialize(secret, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a secret, or `null` as none.
    ///
    /// # Errors
    /// The value is neither a string nor `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
