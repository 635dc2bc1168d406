//! The retention row, by which maintenance finds a final conversation by the time at which it ended.
//!
//! The key has the time of the end and not that of the removal, so a new `RETENTION_DAYS` applies to conversations that have
//! ended before, too (docs/decisions/0013-retention.md).

use serde::{Deserialize, Serialize};

use super::encode;
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::{KeyRange, StoreError};

/// The first version of the projection that has retention rows.
pub(super) const RETAINED_SINCE: u32 = 4;

/// The first part of the keys of retention rows.
const RETENTION: &str = "r~";

/// The value of a retention row. Its key says everything.
#[derive(Serialize, Deserialize)]
struct RetentionValue {}

/// The key and the value of a conversation's retention row. A conversation has one once it is final.
pub(super) fn project(conversation: &Conversation) -> Result<Option<(String, String)>, StoreError> {
    let Some(end) = conversation.ended() else { return Ok(None) };
    let key = format!("{RETENTION}{:014}~{}~{}", position(end), conversation.client(), conversation.id());
    Ok(Some((key, encode(&RetentionValue {})?)))
}

/// The keys of the retention rows of conversations that ended before this time.
pub(in crate::store) fn ended_before(time: Timestamp) -> KeyRange {
    KeyRange { from: RETENTION.to_owned(), to: format!("{RETENTION}{:014}", position(time)) }
}

/// The conversation that a retention row is for. `None` if the key has another form.
pub(in crate::store) fn retained(key: &str) -> Option<(ClientId, ConversationId)> {
    let (_, conversation) = key.strip_prefix(RETENTION)?.split_once('~')?;
    let (client, id) = conversation.split_once('~')?;
    Some((client.parse().ok()?, id.parse().ok()?))
}

/// The number in the key. It has 14 digits.
fn position(at: Timestamp) -> i64 {
    at.clamp(Timestamp::MIN, Timestamp::MAX).as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_conversation_and_is_found_after_its_end() {
        let id = "01890000-0000-7000-8000-00000000000f";
        let key = |end: i64| format!("r~{end:014}~ann~{id}");
        for end in [0, 9, 10, 1_893_459_600_000, 99_999_999_999_998] {
            let key = key(end);
            assert_eq!(retained(&key), Some(("ann".parse().unwrap(), id.parse().unwrap())));
            let is_in = |range: KeyRange| range.from <= key && key < range.to;
            assert!(!is_in(ended_before(Timestamp::from_millis(end))));
            assert!(is_in(ended_before(Timestamp::from_millis(end + 1))));
        }
        for other in [format!("x~00000000000007~ann~{id}"), "r~7".to_owned(), format!("r~7~ann~b~{id}")] {
            assert_eq!(retained(&other), None, "{other}");
        }
    }
}
