//! The due rows of a turn in the order of time, read ahead of the clock.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::store::{ConversationStore, DueBound, DueKey, Partition, StoreError};

/// The rows that are due until the end of a turn.
///
/// Each partition is read a page at a time. What is scheduled meanwhile is read if [`Agenda::read_again`] is told of it.
pub(super) struct Agenda {
    store: ConversationStore,
    end: Timestamp,
    partitions: BTreeMap<Partition, Ahead>,
    /// The rows that were taken and may still be there. They are not taken again.
    taken: HashSet<DueKey>,
}

/// What was read of a partition and not yet taken.
struct Ahead {
    rows: VecDeque<DueKey>,
    /// The next page begins here. None if the last one was read.
    next_page: Option<DueBound>,
}

impl Agenda {
    /// The number of rows of a partition that are read at once.
    const PAGE: usize = 64;

    /// The rows that are due until this time, including it.
    pub(super) fn until(last: Timestamp, store: ConversationStore) -> Self {
        let ahead = || Ahead { rows: VecDeque::new(), next_page: Some(DueBound::Time(Timestamp::MIN)) };
        let partitions = ConversationStore::partitions().map(|partition| (partition, ahead())).collect();
        Self { store, end: last + Duration::from_millis(1), partitions, taken: HashSet::new() }
    }

    /// The time of the first row that was not taken.
    pub(super) async fn first(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let mut first: Option<Timestamp> = None;
        for (partition, ahead) in &mut self.partitions {
            let at = ahead.first(*partition, &self.store, self.end, &self.taken).await?;
            first = first.into_iter().chain(at).min();
        }
        Ok(first)
    }

    /// Takes all rows that are due until this time.
    pub(super) async fn take_until(&mut self, time: Timestamp) -> Result<Vec<DueKey>, StoreError> {
        let mut due = Vec::new();
        for (partition, ahead) in &mut self.partitions {
            while ahead.first(*partition, &self.store, self.end, &self.taken).await?.is_some_and(|at| at <= time) {
                due.extend(ahead.rows.pop_front());
            }
        }
        self.taken.extend(due.iter().cloned());
        Ok(due)
    }

    /// This row may be due again at the same time.
    pub(super) fn put_back(&mut self, row: &DueKey) {
        self.taken.remove(row);
    }

    /// There may be new rows in a partition from this time on.
    pub(super) fn read_again(&mut self, partition: Partition, from: Timestamp) {
        if let Some(ahead) = self.partitions.get_mut(&partition) {
            ahead.read_again(from);
        }
    }
}

impl Ahead {
    async fn first(
        &mut self,
        partition: Partition,
        store: &ConversationStore,
        end: Timestamp,
        taken: &HashSet<DueKey>,
    ) -> Result<Option<Timestamp>, StoreError> {
        while self.rows.is_empty() {
            let Some(from) = &self.next_page else { return Ok(None) };
            let page = store.due(partition, from, end, Agenda::PAGE).await?;
            let last = page.last().map(|row| row.key.clone()).filter(|_| page.len() == Agenda::PAGE);
            self.next_page = last.map(DueBound::Row);
            self.rows.extend(page.into_iter().map(|row| row.key).filter(|key| !taken.contains(key)));
        }
        Ok(self.rows.front().map(|key| key.at))
    }

    fn read_again(&mut self, from: Timestamp) {
        let is_read = match &self.next_page {
            None => true,
            Some(DueBound::Time(next)) => *next > from,
            Some(DueBound::Row(last)) => last.at >= from,
        };
        if is_read {
            self.rows.truncate(self.rows.partition_point(|key| key.at < from));
            self.next_page = Some(DueBound::Time(from));
        }
    }
}
