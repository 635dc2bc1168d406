//! The projection: all rows of a conversation, computed from the conversation.
//!
//! A conversation has one main row, which contains the conversation itself, and secondary rows, by which it is found.
//! Each kind of secondary row is one entry of [`ROW_KINDS`]. A change commits the difference of two projections, on the
//! condition that the main row is unchanged (docs/decisions/0005-rows-are-a-projection.md).

use std::collections::BTreeMap;

use super::{conversation_key, due, encode_conversation};
use crate::domain::{Conversation, Timestamp};
use crate::store::{Etag, Operation, StoreError};

/// A kind of secondary row.
#[derive(Clone, Copy, Debug)]
pub struct RowKind {
    /// The first version of the projection that has this kind.
    pub since: u32,
    /// Computes the row.
    pub project: ProjectRow,
}

/// Computes the key and the value of a secondary row, or `None` if the conversation does not have this row. The second
/// argument is the time at which a wake-up for this state of the conversation is enqueued, if one is.
pub type ProjectRow = fn(&Conversation, Option<Timestamp>) -> Result<Option<(String, String)>, StoreError>;

/// All kinds of secondary rows.
const ROW_KINDS: [RowKind; 1] = [RowKind { since: 1, project: due::project }];

/// The kinds of secondary rows that a store writes, and the version of this set.
///
/// The main row records the version under which it was written. A conversation has no rows of a kind that was added
/// later, so its next change inserts them and never deletes them.
#[derive(Clone, Debug)]
pub struct Projection {
    version: u32,
    kinds: Vec<RowKind>,
}

/// The key and the value of each secondary row, as the projection computed them when the conversation was read.
pub(in crate::store) type SecondaryRows = BTreeMap<String, String>;

impl Default for Projection {
    fn default() -> Self {
        Self { version: 1, kinds: ROW_KINDS.to_vec() }
    }
}

impl Projection {
    /// Adds a kind of row, and so makes a newer version of the projection.
    #[must_use]
    pub fn with(mut self, project: ProjectRow) -> Self {
        self.version += 1;
        self.kinds.push(RowKind { since: self.version, project });
        self
    }

    /// The version that the main row records.
    pub(in crate::store) const fn version(&self) -> u32 {
        self.version
    }

    /// The secondary rows of a conversation whose main row records this version.
    pub(in crate::store) fn secondary_rows(
        &self,
        conversation: &Conversation,
        version: u32,
        enqueued_at: Option<Timestamp>,
    ) -> Result<SecondaryRows, StoreError> {
        let kinds = self.kinds.iter().filter(|kind| kind.since <= version);
        kinds.filter_map(|kind| (kind.project)(conversation, enqueued_at).transpose()).collect()
    }

    /// The operations that insert a new conversation. The first one inserts the main row.
    pub(in crate::store) fn insert(
        &self,
        new: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<Vec<Operation>, StoreError> {
        let key = conversation_key(new.client(), new.id());
        let main = Operation::Insert { key, value: encode_conversation(new, self.version)? };
        let rows = self.secondary_rows(new, self.version, enqueued_at)?;
        let inserts = rows.into_iter().map(|(key, value)| Operation::Insert { key, value });
        Ok(std::iter::once(main).chain(inserts).collect())
    }

    /// The operations that turn the rows of one state of a conversation into those of the next. The first one replaces
    /// the main row, if it still has `etag`. Secondary rows change only together with the main row, so the other
    /// operations need no etag.
    pub(in crate::store) fn replace(
        &self,
        etag: Etag,
        mut old: SecondaryRows,
        next: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<(Vec<Operation>, SecondaryRows), StoreError> {
        let key = conversation_key(next.client(), next.id());
        let value = encode_conversation(next, self.version)?;
        let mut operations = vec![Operation::Replace { key, value, if_match: Some(etag) }];
        let new = self.secondary_rows(next, self.version, enqueued_at)?;
        for (key, value) in &new {
            let (key, value) = (key.clone(), value.clone());
            match old.remove(&key) {
                None => operations.push(Operation::Insert { key, value }),
                Some(before) if before != value => {
                    operations.push(Operation::Replace { key, value, if_match: None });
                }
                Some(_) => {}
            }
        }
        operations.extend(old.into_keys().map(|key| Operation::Delete { key, if_match: None }));
        Ok((operations, new))
    }
}
