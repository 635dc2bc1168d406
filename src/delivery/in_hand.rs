//! The due rows that the runs of this process deliver at this time.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::store::DueKey;
use crate::sync::lock;

/// The rows of all runs. Several wake-ups may name the same rows, and a row that one run has needs no other one: if its
/// delivery fails, the wake-up of that run comes again.
#[derive(Debug, Default)]
pub(super) struct InHand(Mutex<BTreeSet<DueKey>>);

/// The rows of one run. Other runs can take them when this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    all: &'a InHand,
    /// The rows, earliest first.
    pub(super) keys: Vec<DueKey>,
}

impl InHand {
    /// Takes the earliest of these rows, so many at most, without those that another run has.
    pub(super) fn take(&self, mut keys: Vec<DueKey>, most: usize) -> Taken<'_> {
        keys.sort_unstable();
        let mut all = lock(&self.0);
        keys.retain(|key| !all.contains(key));
        keys.truncate(most);
        all.extend(keys.iter().cloned());
        Taken { all: self, keys }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.all.0);
        for key in &self.keys {
            all.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ConversationId, Timestamp};

    fn keys(numbers: impl IntoIterator<Item = u8>) -> Vec<DueKey> {
        let key = |number| DueKey {
            at: Timestamp::from_millis(i64::from(number)),
            client: "ann".parse().unwrap(),
            id: ConversationId::new(Timestamp::from_millis(0), &[number; 10]),
        };
        numbers.into_iter().map(key).collect()
    }

    #[test]
    fn a_row_is_taken_by_one_run_until_that_has_ended() {
        let in_hand = InHand::default();
        let first = in_hand.take(keys([3, 1, 2, 5]), 3);
        assert_eq!(first.keys, keys([1, 2, 3]));
        let second = in_hand.take(keys([2, 3, 4, 5, 6]), 2);
        assert_eq!(second.keys, keys([4, 5]));
        drop(first);
        assert_eq!(in_hand.take(keys(1..=6), 9).keys, keys([1, 2, 3, 6]));
        drop(second);
        assert_eq!(in_hand.take(keys(1..=6), 9).keys, keys(1..=6));
    }
}
