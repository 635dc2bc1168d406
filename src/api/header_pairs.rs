//! The headers of a request as the caller wrote them.

use serde::{Deserialize, Deserializer};

use crate::domain::Secret;
use crate::json::pairs;

/// Names and values, in the caller's order and with repeated names. Values are often credentials.
#[derive(Clone, Debug, Default)]
pub struct HeaderPairs(pub(super) Vec<(String, Secret<String>)>);

impl<'de> Deserialize<'de> for HeaderPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = pairs::deserialize(deserializer)?.into_iter();
        Ok(Self(pairs.map(|(name, value)| (name.into_owned(), Secret::new(value.into_owned()))).collect()))
    }
}
