//! The index row, by which a list finds the conversations of one client with one status, in the order of a time.
//!
//! A conversation that is not final stands at its due time, whatever a worker does with it, so a claim or a retry does not
//! touch this row. A final one stands at the time at which it ended, the latest first.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{decode, encode, payload};
use crate::domain::{ClientId, Conversation, ConversationId, State, Status, ThreadId, Timestamp};
use crate::store::{KeyRange, Row, StoreError};

/// The first version of the projection that has index rows.
pub(super) const INDEXED_SINCE: u32 = 3;

/// The conversations of a client whose index rows stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum IndexGroup {
    /// Those that are not final, the earliest due time first.
    Live,
    /// Those that have ended with this status, the latest end first.
    Ended(Status),
}

/// The value of an index row. Lists need only the key, because the main row says everything.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexValue<'a> {
    /// [`Conversation::stored_bytes`] of a conversation that is not final, so that a count needs no other row. Earlier
    /// releases wrote none of these fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// The thread, so that a count can tell those of one thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thread: Option<Cow<'a, str>>,
    /// [`Recurrence::most_per_day`](crate::domain::Recurrence::most_per_day) of a conversation that recurs and is not final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_day: Option<u32>,
}

/// What an index row tells a count of the conversation.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Indexed {
    /// The time in the key.
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) thread: Option<ThreadId>,
    /// The most deliveries on one day, if it recurs.
    pub(in crate::store) per_day: Option<u32>,
}

/// The key and the value of a conversation's index row. Each conversation has one.
///
/// A row of an earlier release keeps its value until the size or the place of the conversation changes: to write all of
/// them again is not worth what an exact count would gain. See [`indexed_bytes`].
pub(super) fn project(conversation: &Conversation) -> Result<Option<(String, String)>, StoreError> {
    let is_live = conversation.ended().is_none();
    let bytes = is_live.then(|| conversation.stored_bytes());
    let thread = conversation.thread_id().map(|thread| thread.as_str().into());
    let per_day = conversation.series().filter(|_| is_live).map(|series| series.recurrence.most_per_day());
    Ok(Some((index_key(conversation), encode(&IndexValue { bytes, thread, per_day })?)))
}

/// The bytes that a live index row counts for. A row of an earlier release does not say it, and one of a later release may
/// not. They count as many as stay in a main row, which is more than most conversations have.
pub(in crate::store) fn indexed_bytes(row: &Row) -> usize {
    let value: Option<IndexValue<'_>> = decode(row).ok();
    value.and_then(|value| value.bytes).unwrap_or(payload::MAX_IN_MAIN_ROW)
}

/// What a live index row says. One of an earlier release is of no thread and does not recur until its place changes.
pub(in crate::store) fn indexed(row: &Row) -> Indexed {
    let value = decode::<IndexValue<'_>>(row).unwrap_or_default();
    let at = row.key.rsplit('~').nth(1).and_then(|at| at.parse().ok()).map_or(Timestamp::MAX, Timestamp::from_millis);
    let thread = value.thread.map(|thread| ThreadId::from_stored(thread.into_owned()));
    Indexed { at, thread, per_day: value.per_day }
}

/// The key of a conversation's index row.
pub(in crate::store) fn index_key(conversation: &Conversation) -> String {
    let (group, at) = match conversation.ended() {
        None => (IndexGroup::Live, listed_at(conversation)),
        Some(end) => (IndexGroup::Ended(conversation.status()), end),
    };
    let prefix = index_prefix(conversation.client(), group);
    format!("{prefix}{:014}~{}", group.position(at), conversation.id())
}

/// The time by which a conversation that is not final is listed. A paused one is due some day, so it comes last.
pub(in crate::store) fn listed_at(conversation: &Conversation) -> Timestamp {
    let waits_for_client = conversation.is_paused() && *conversation.state() == State::Scheduled;
    if waits_for_client { Timestamp::MAX } else { conversation.due() }
}

/// The part of the key that the rows of a group share.
pub(in crate::store) fn index_prefix(client: &ClientId, group: IndexGroup) -> String {
    format!("x~{client}~{}~", group.as_str())
}

/// The keys of a group with a time from `from` on and before `to`.
pub(in crate::store) fn index_rows(
    client: &ClientId,
    group: IndexGroup,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> KeyRange {
    let prefix = index_prefix(client, group);
    let all = KeyRange::prefix(&prefix);
    let last = Timestamp::MAX.as_millis();
    // A number with more digits would sort between the others. `~` sorts behind every id.
    let bound = |at: i64| if at > last { format!("{prefix}{last}~~") } else { format!("{prefix}{at:014}") };
    // In the order of the keys the latest end is first, and `to` itself is not in the range.
    let (first, end) = match group {
        IndexGroup::Live => (from.map(|at| group.position(at)), to.map(|at| group.position(at))),
        IndexGroup::Ended(_) => (to.map(|at| group.position(at) + 1), from.map(|at| group.position(at) + 1)),
    };
    KeyRange { from: first.map_or(all.from, bound), to: end.map_or(all.to, bound) }
}

/// The conversation that an index row is for. `None` if the key has another form.
pub(in crate::store) fn indexed_id(key: &str) -> Option<ConversationId> {
    key.rsplit('~').next()?.parse().ok()
}

impl IndexGroup {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended(status) => status.as_str(),
        }
    }

    /// The number in the key. A time that has no room in a key stands at the latest one that has.
    fn position(self, at: Timestamp) -> i64 {
        let at = at.min(Timestamp::MAX).as_millis();
        match self {
            Self::Live => at,
            Self::Ended(_) => Timestamp::MAX.as_millis() - at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Etag;

    const TIMES: [i64; 6] = [0, 9, 10, 1_893_459_600_000, 99_999_999_999_998, 99_999_999_999_999];

    fn key(group: IndexGroup, at: i64) -> String {
        let id = "01890000-0000-7000-8000-00000000000f";
        let at = group.position(Timestamp::from_millis(at));
        format!("{}{at:014}~{id}", index_prefix(&"ann".parse().unwrap(), group))
    }

    #[test]
    fn live_rows_sort_by_time_and_final_ones_the_other_way() {
        assert!(TIMES.map(|at| key(IndexGroup::Live, at)).is_sorted_by(|a, b| a < b));
        assert!(TIMES.map(|at| key(IndexGroup::Ended(Status::Failed), at)).is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn a_range_includes_its_first_time_and_excludes_its_last() {
        let client = "ann".parse().unwrap();
        for group in [IndexGroup::Live, IndexGroup::Ended(Status::Completed)] {
            for from in [None].into_iter().chain(TIMES.map(Some)) {
                for to in [None].into_iter().chain(TIMES.map(Some)) {
                    let range =
                        index_rows(&client, group, from.map(Timestamp::from_millis), to.map(Timestamp::from_millis));
                    for at in TIMES {
                        let key = key(group, at);
                        let found = range.from <= key && key < range.to;
                        let expected = from.is_none_or(|from| from <= at) && to.is_none_or(|to| at < to);
                        assert_eq!(found, expected, "{group:?} from {from:?} to {to:?}: {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_rows_of_one_client_are_not_those_of_another() {
        let of = |client: &str| index_rows(&client.parse().unwrap(), IndexGroup::Live, None, None);
        let key = key(IndexGroup::Live, 7);
        let is_in = |range: KeyRange| range.from <= key && key < range.to;
        assert!(is_in(of("ann")));
        assert!(!is_in(of("an")) && !is_in(of("anna")) && !is_in(of("ann-")));
    }

    #[test]
    fn a_count_learns_the_time_the_thread_and_the_deliveries_a_day() {
        let key = key(IndexGroup::Live, 7);
        for (value, thread, per_day) in [
            (r#"{"bytes":1,"thread":"t-1","perDay":24}"#, Some("t-1"), Some(24)),
            (r#"{"bytes":1}"#, None, None),
            ("{}", None, None),
        ] {
            let row =
                Row { key: key.clone(), value: format!(r#"{{"v":1,"row":{value}}}"#), etag: Etag::new(String::new()) };
            let thread = thread.map(|thread| thread.parse().unwrap());
            assert_eq!(indexed(&row), Indexed { at: Timestamp::from_millis(7), thread, per_day });
        }
    }
}
