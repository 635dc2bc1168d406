//! The inbox row, by which a client receives the conversations of its inbox in the order of time.
//!
//! It stands at the time from which a receiver gets the conversation: its due time, the end of a lease, or the next attempt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::encode;
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::{KeyRange, StoreError};

/// The first part of the keys of inbox rows.
const INBOX: &str = "i~";

/// The key of an inbox row: `i~{client}~{receivable_at, 14 digits}~{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct InboxKey {
    pub(in crate::store) client: ClientId,
    /// The time from which a receiver gets the conversation.
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) id: ConversationId,
}

impl fmt::Display for InboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, at, id } = self;
        write!(f, "{INBOX}{client}~{:014}~{id}", at.as_millis())
    }
}

/// The text is not the key of an inbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is not that of an inbox row")]
pub(in crate::store) struct InvalidInboxKey;

impl FromStr for InboxKey {
    type Err = InvalidInboxKey;

    fn from_str(text: &str) -> Result<Self, InvalidInboxKey> {
        let mut parts = text.strip_prefix(INBOX).ok_or(InvalidInboxKey)?.split('~');
        let (Some(client), Some(at), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidInboxKey);
        };
        let key = Self {
            client: client.parse().map_err(|_| InvalidInboxKey)?,
            at: Timestamp::from_millis(at.parse().map_err(|_| InvalidInboxKey)?),
            id: id.parse().map_err(|_| InvalidInboxKey)?,
        };
        if key.to_string() == text { Ok(key) } else { Err(InvalidInboxKey) }
    }
}

/// The value of an inbox row. Its key says everything.
#[derive(Serialize, Deserialize)]
struct InboxValue {}

/// The key and the value of a conversation's inbox row. `None` if it is not in an inbox, final or paused.
pub(super) fn project(conversation: &Conversation) -> Result<Option<(String, String)>, StoreError> {
    let Some(at) = conversation.receivable_at() else { return Ok(None) };
    let key = InboxKey { client: conversation.client().clone(), at, id: conversation.id() };
    Ok(Some((key.to_string(), encode(&InboxValue {})?)))
}

/// The inbox rows of a client, the earliest first.
pub(in crate::store) fn inbox_rows(client: &ClientId) -> KeyRange {
    KeyRange::prefix(&format!("{INBOX}{client}~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_sorts_by_time() {
        let id: ConversationId = "01890000-0000-7000-8000-00000000000f".parse().unwrap();
        let key =
            |client: &str, at: i64| InboxKey { client: client.parse().unwrap(), at: Timestamp::from_millis(at), id };
        let keys = [0, 9, 10, 1_893_459_600_000, 99_999_999_999_999].map(|at| key("ann", at).to_string());
        assert!(keys.is_sorted());
        for text in &keys {
            assert_eq!(text.parse::<InboxKey>().unwrap().to_string(), *text);
        }
        for other in [format!("d~00000000000007~ann~{id}"), format!("i~ann~7~{id}"), "i~ann".to_owned()] {
            assert_eq!(other.parse::<InboxKey>(), Err(InvalidInboxKey), "{other}");
        }
        let is_in = |client: &str| {
            let range = inbox_rows(&client.parse().unwrap());
            range.from <= keys[0] && keys[4] < range.to
        };
        assert!(is_in("ann") && !is_in("an") && !is_in("anna"));
    }
}
