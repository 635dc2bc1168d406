//! The id of a conversation.

use std::fmt;
use std::num::NonZeroU128;
use std::str::FromStr;

use uuid::Uuid;

use super::Timestamp;

/// A `UUIDv7` (RFC 9562). Ids sort by creation time. The last hex digit names the partition that contains all rows of
/// the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(Uuid);

impl ConversationId {
    /// A new id from the time and ten random bytes.
    #[must_use]
    pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// The number of the partition, 0 to 15: the last hex digit.
    #[must_use]
    pub const fn partition(&self) -> u8 {
        let [.., last] = *self.0.as_bytes();
        last & 0x0f
    }

    /// The same id in another partition. The last digit is random, so any choice of it makes an id as good as before.
    #[must_use]
    pub const fn in_partition(self, partition: u8) -> Self {
        Self(Uuid::from_u128((self.0.as_u128() & !0x0f) | (partition & 0x0f) as u128))
    }

    /// The id as a trace id (W3C Trace Context). It is not zero, because it has the digits of its version.
    #[must_use]
    pub fn as_trace(&self) -> NonZeroU128 {
        NonZeroU128::new(self.0.as_u128()).unwrap_or(NonZeroU128::MIN)
    }

    /// The id with all bits inverted, as 32 hex digits. In this form the newest id sorts first.
    #[must_use]
    pub fn inverted(&self) -> String {
        Uuid::from_u128(!self.0.as_u128()).simple().to_string()
    }

    /// Reads an id in the form of [`ConversationId::inverted`].
    ///
    /// # Errors
    /// [`InvalidConversationId`] if the text is not an inverted id.
    pub fn from_inverted(text: &str) -> Result<Self, InvalidConversationId> {
        let bits = u128::from_str_radix(text, 16).map_err(|_| InvalidConversationId)?;
        let id = Self(Uuid::from_u128(!bits));
        if id.inverted() == text { Ok(id) } else { Err(InvalidConversationId) }
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ConversationId {
    type Err = InvalidConversationId;

    /// Accepts 32 hex digits in any case, with the four hyphens or without them: the formats D and N of .NET's `Guid`.
    fn from_str(text: &str) -> Result<Self, InvalidConversationId> {
        use uuid::fmt::{Hyphenated, Simple};
        match text.len() {
            Hyphenated::LENGTH | Simple::LENGTH => Uuid::try_parse(text).map(Self).map_err(|_| InvalidConversationId),
            _ => Err(InvalidConversationId),
        }
    }
}

/// The text is not a conversation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a conversation id")]
pub struct InvalidConversationId;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_read_in_any_case_with_all_hyphens_or_none() {
        let id: ConversationId = "01890000-abcd-7000-8000-00000000000f".parse().unwrap();
        assert_eq!(id.partition(), 15);
        for same in [
            "01890000-ABCD-7000-8000-00000000000F",
            "01890000-aBcD-7000-8000-00000000000f",
            "01890000abcd7000800000000000000f",
            "01890000ABCD7000800000000000000F",
        ] {
            assert_eq!(same.parse(), Ok(id), "{same}");
        }
        assert_eq!(id.to_string(), "01890000-abcd-7000-8000-00000000000f", "one form is given out");
        for bad in [
            "01890000abcd70008000000000000000f",
            "01890000abcd700080000000000000f",
            "01890000-abcd7000-8000-00000000000f",
            "01890000-abcd-7000-8000-0000000000-f",
            "0189-0000-abcd-7000-8000-0000000000f",
            "{01890000-abcd-7000-8000-00000000000f}",
            "(01890000-abcd-7000-8000-00000000000f)",
            "urn:uuid:01890000-abcd-7000-8000-00000000000f",
            "01890000-abcd-7000-8000-00000000000g",
            " 01890000abcd7000800000000000000f",
            "a'b",
            "",
        ] {
            assert_eq!(bad.parse::<ConversationId>(), Err(InvalidConversationId), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn ids_sort_by_time_and_inverted_ids_the_other_way(
            a in 0_i64..4_102_444_800_000, step in 1_i64..1_000_000, r1: [u8; 10], r2: [u8; 10],
        ) {
            let older = ConversationId::new(Timestamp::from_millis(a), &r1);
            let newer = ConversationId::new(Timestamp::from_millis(a + step), &r2);
            prop_assert!(older < newer);
            prop_assert!(older.inverted() > newer.inverted());
            prop_assert_eq!(ConversationId::from_inverted(&older.inverted()), Ok(older));
            prop_assert_eq!(older.to_string().parse(), Ok(older));
            let digit = format!("{:x}", older.partition());
            prop_assert!(older.to_string().ends_with(&digit));
            for partition in 0..16 {
                let moved = older.in_partition(partition);
                prop_assert_eq!(moved.partition(), partition);
                prop_assert_eq!(moved.to_string()[..35].to_owned(), older.to_string()[..35].to_owned());
            }
        }
    }
}
