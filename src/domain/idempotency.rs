//! What makes the repetition of a request recognisable.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ring::digest::{SHA256, digest};

/// A request that its client may repeat, because it carries an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The hash of the client's key. The key itself is not kept.
    pub key: Sha256,
    /// The hash of the request. Two requests with one key are the same request if their fingerprints are equal.
    pub fingerprint: Sha256,
}

impl IdempotentRequest {
    /// The time for which a key belongs to its first request.
    pub const KEPT: Duration = Duration::from_hours(24);
}

/// A SHA-256 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
        Self(hash)
    }

    /// A hash that was computed elsewhere.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first half of the hash.
    #[must_use]
    pub fn beginning(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        half
    }

    /// The number of the partition that belongs to the hash, 0 to 15: its last hex digit.
    #[must_use]
    pub const fn partition(&self) -> u8 {
        let [.., last] = self.0;
        last & 0x0f
    }
}

impl fmt::Display for Sha256 {
    /// 64 hex digits in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a SHA-256 hash in hex digits")]
pub struct InvalidHash;

impl FromStr for Sha256 {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(InvalidHash);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidHash)?;
        }
        let hash = Self(bytes);
        if hash.to_string() == text { Ok(hash) } else { Err(InvalidHash) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back_in_one_form() {
        let hash = Sha256::new(std::array::from_fn(|i| u8::try_from(8 * i).unwrap()));
        let text = hash.to_string();
        assert_eq!(text, "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8");
        assert_eq!((text.parse(), hash.partition()), (Ok(hash), 8));
        for bad in ["", "00", &text.to_uppercase(), &format!("{text}00"), &text.replace("f8", "+8"), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Sha256>(), Err(InvalidHash), "{bad}");
        }
    }
}
