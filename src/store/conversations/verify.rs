//! Verifying that a store is whole: each conversation has exactly the rows of its projection, and everything can be read.
//!
//! Rows change while they are read. What looks wrong is read again together with the row that decides about it, so other
//! processes may use the store meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::ConversationStore;
use crate::domain::{ClientId, ConversationId, ConversationName};
use crate::store::rows::{self, INDEX_MARK, WATERMARK};
use crate::store::{KeyRange, Partition, Row, StoreError, Table as _};

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A row that another one needs does not exist.
    Missing {
        /// The key of the missing row.
        key: String,
        /// The key of the row that needs it.
        of: String,
    },
    /// A row belongs to no other row.
    Orphan {
        /// Its key.
        key: String,
    },
    /// A row cannot be read or decrypted. The text says which and why.
    Unreadable(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key, of } => write!(f, "the row {key} is missing, and {of} needs it"),
            Self::Orphan { key } => write!(f, "the row {key} belongs to nothing"),
            Self::Unreadable(reason) => f.write_str(reason),
        }
    }
}

/// The number of rows of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Main rows.
    pub conversations: usize,
    /// Payload rows.
    pub payloads: usize,
    /// Due rows.
    pub due: usize,
    /// Inbox rows.
    pub inbox: usize,
    /// Index rows.
    pub index: usize,
    /// Retention rows.
    pub retention: usize,
    /// Name rows.
    pub names: usize,
    /// Rows of idempotency keys.
    pub keys: usize,
}

impl RowCounts {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            conversations: self.conversations + other.conversations,
            payloads: self.payloads + other.payloads,
            due: self.due + other.due,
            inbox: self.inbox + other.inbox,
            index: self.index + other.index,
            retention: self.retention + other.retention,
            names: self.names + other.names,
            keys: self.keys + other.keys,
        }
    }
}

/// What a partition has, and what is wrong in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The rows.
    pub counts: RowCounts,
    /// What is wrong.
    pub flaws: Vec<Flaw>,
}

/// What was read of a partition.
#[derive(Default)]
struct Seen {
    counts: RowCounts,
    /// The rows that other rows need: each key with the key of the row that needs it.
    needed: BTreeMap<String, String>,
    /// The rows that exist because of others.
    found: BTreeSet<String>,
    /// The name rows, with the keys of the main rows to which they lead.
    names: BTreeMap<String, String>,
    /// The names that live conversations have, each with the key of a main row.
    live_names: BTreeMap<String, String>,
    /// The rows whose own rows are not known.
    unreadable: BTreeSet<String>,
    flaws: Vec<Flaw>,
}

impl ConversationStore {
    /// The rows that one scan reads, and the payload rows, which may be large.
    const VERIFY_SCANS: [usize; 2] = [500, 16];

    /// Reads all rows of a partition and says what is wrong.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. What cannot be read or decrypted is a flaw and no error.
    pub async fn verify(&self, partition: Partition) -> Result<Verified, StoreError> {
        let mut seen = Seen::default();
        let [many, few] = Self::VERIFY_SCANS;
        let payloads = KeyRange::prefix(rows::PAYLOAD_ROWS);
        let before = KeyRange { from: String::new(), to: payloads.from.clone() };
        // No key is between this letter and the payload rows.
        let behind = KeyRange { from: "q".to_owned(), to: KeyRange::prefix("").to };
        for (mut range, scan) in [(before, many), (payloads, few), (behind, many)] {
            loop {
                let page = self.table.scan(partition, &range, scan).await?;
                let Some(last) = page.last() else { break };
                range = range.after(&last.key);
                for row in page {
                    self.look_at(partition, row, &mut seen);
                }
            }
        }
        let mut flaws = std::mem::take(&mut seen.flaws);
        flaws.extend(self.wrong_rows(partition, &seen).await?);
        flaws.extend(self.wrong_names(partition, &seen).await?);
        Ok(Verified { counts: seen.counts, flaws })
    }

    fn look_at(&self, partition: Partition, row: Row, seen: &mut Seen) {
        let counts = &mut seen.counts;
        let kind = row.key.split_once('~').map_or(row.key.as_str(), |(kind, _)| kind);
        let read = match kind {
            "m" => {
                counts.conversations += 1;
                self.look_at_conversation(partition, &row, seen)
            }
            "k" => {
                counts.keys += 1;
                self.rows_needed_by(partition, &row).map(|needed| seen.need(needed, &row.key))
            }
            "n" => {
                counts.names += 1;
                rows::decode_name_row(&row).map(|id| {
                    let client = row.key.split('~').nth(1).and_then(|client| client.parse().ok());
                    let leads_to = client.map(|client: ClientId| rows::conversation_key(&client, id));
                    seen.names.insert(row.key.clone(), leads_to.unwrap_or_default());
                })
            }
            "x" if row.key == INDEX_MARK => rows::decode_index_mark(&row).map(drop),
            WATERMARK => rows::decode_watermark(&row).map(drop),
            "p" | "d" | "i" | "x" | "r" | "e" => {
                match kind {
                    "p" => counts.payloads += 1,
                    "d" => counts.due += 1,
                    "i" => counts.inbox += 1,
                    "x" => counts.index += 1,
                    "r" => counts.retention += 1,
                    _ => {}
                }
                seen.found.insert(row.key.clone());
                match kind {
                    "p" => rows::decode_payload(&row, &self.sealer).map(drop),
                    "d" => rows::decode_due(&row).map(drop),
                    _ => Ok(()),
                }
            }
            _ => Err(StoreError::Corrupt { key: row.key.clone(), reason: "its kind is unknown".to_owned() }),
        };
        if let Err(error) = read {
            seen.unreadable.insert(row.key);
            seen.flaws.push(Flaw::Unreadable(error.to_string()));
        }
    }

    fn look_at_conversation(&self, partition: Partition, row: &Row, seen: &mut Seen) -> Result<(), StoreError> {
        seen.need(self.rows_needed_by(partition, row)?, &row.key);
        let conversation = rows::decode_outline(row)?.conversation;
        if let Some(name) = conversation.name().filter(|_| !conversation.status().is_final()) {
            seen.live_names.insert(rows::name_key(conversation.client(), name), row.key.clone());
        }
        // The rows that it needs are known also if it cannot be decrypted.
        if let Err(error) = rows::decode_conversation(row, &self.sealer) {
            seen.flaws.push(Flaw::Unreadable(error.to_string()));
        }
        Ok(())
    }

    /// The keys of the rows that must exist because of a main row or key row.
    fn rows_needed_by(&self, partition: Partition, row: &Row) -> Result<Vec<String>, StoreError> {
        if row.key.starts_with(rows::KEY_ROWS) {
            return Ok(vec![rows::expiry_key(rows::decode_key_row(row)?.expires(), &row.key)]);
        }
        let rows::Outline { conversation, has_payload_row, projection, .. } = rows::decode_outline(row)?;
        let (client, id) = (conversation.client(), conversation.id());
        if rows::conversation_key(client, id) != row.key || rows::partition(id) != partition {
            let reason = "it is the row of another conversation".to_owned();
            return Err(StoreError::Corrupt { key: row.key.clone(), reason });
        }
        let secondary_rows = self.secondary_rows(&row.key, &conversation, projection)?.into_keys();
        Ok(secondary_rows.chain(has_payload_row.then(|| rows::payload_key(client, id))).collect())
    }

    /// The rows that are missing or belong to nothing, also when they are read again.
    async fn wrong_rows(&self, partition: Partition, seen: &Seen) -> Result<Vec<Flaw>, StoreError> {
        let mut flaws = Vec::new();
        for (key, of) in seen.needed.iter().filter(|(key, _)| !seen.found.contains(*key)) {
            if self.is_wrong(partition, key, of).await? {
                flaws.push(Flaw::Missing { key: key.clone(), of: of.clone() });
            }
        }
        for key in seen.found.iter().filter(|key| !seen.needed.contains_key(*key)) {
            let of = owner_of(key).unwrap_or_default();
            // What an unreadable row needs is not known.
            if !seen.unreadable.contains(&of) && (of.is_empty() || self.is_wrong(partition, key, &of).await?) {
                flaws.push(Flaw::Orphan { key: key.clone() });
            }
        }
        Ok(flaws)
    }

    /// Whether a row exists and its owner does not need it, or the other way round.
    async fn is_wrong(&self, partition: Partition, key: &str, owner: &str) -> Result<bool, StoreError> {
        loop {
            let before = self.table.get(partition, owner).await?;
            let exists = self.table.get(partition, key).await?.is_some();
            let after = self.table.get(partition, owner).await?;
            if before.as_ref().map(|row| &row.etag) != after.as_ref().map(|row| &row.etag) {
                continue;
            }
            let needed = before.map(|row| self.rows_needed_by(partition, &row)).transpose();
            return Ok(
                needed.is_ok_and(|needed| needed.unwrap_or_default().iter().any(|needed| needed == key) != exists)
            );
        }
    }

    /// The names that lead to no conversation with this name, and those of live conversations that lead nowhere.
    async fn wrong_names(&self, partition: Partition, seen: &Seen) -> Result<Vec<Flaw>, StoreError> {
        let mut flaws = Vec::new();
        for (key, leads_to) in &seen.names {
            let mut is_wrong = self.lacks_name(partition, leads_to, key).await?;
            if is_wrong {
                // Meanwhile it may lead to another conversation, or may have been removed with its conversation.
                is_wrong = match self.table.get(partition, key).await? {
                    Some(row) => rows::decode_name_row(&row).is_ok_and(|id| leads_to.ends_with(&id.inverted())),
                    None => false,
                };
            }
            if is_wrong && !seen.unreadable.contains(leads_to) {
                flaws.push(Flaw::Orphan { key: key.clone() });
            }
        }
        for (key, of) in seen.live_names.iter().filter(|(key, _)| !seen.names.contains_key(*key)) {
            if self.table.get(partition, key).await?.is_none() && !self.lacks_name(partition, of, key).await? {
                flaws.push(Flaw::Missing { key: key.clone(), of: of.clone() });
            }
        }
        Ok(flaws)
    }

    /// Whether there is no conversation with this main row and with the name of this name row.
    async fn lacks_name(&self, partition: Partition, main: &str, name_row: &str) -> Result<bool, StoreError> {
        if main.is_empty() {
            return Ok(true);
        }
        let Some(row) = self.table.get(partition, main).await? else { return Ok(true) };
        let Ok(outline) = rows::decode_outline(&row) else { return Ok(false) };
        let named = |name: &ConversationName| rows::name_key(outline.conversation.client(), name);
        Ok(outline.conversation.name().map(named).as_deref() != Some(name_row))
    }
}

impl Seen {
    fn need(&mut self, keys: Vec<String>, of: &str) {
        self.needed.extend(keys.into_iter().map(|key| (key, of.to_owned())));
    }
}

/// The key of the row because of which a row exists.
fn owner_of(key: &str) -> Option<String> {
    let parts: Vec<_> = key.split('~').collect();
    let (client, id) = match *parts.as_slice() {
        ["e", _, kind, client, hash] => return Some(format!("{kind}~{client}~{hash}")),
        ["p", client, id] | ["d" | "r", _, client, id] | ["i", client, _, id] | ["x", client, _, _, id] => (client, id),
        _ => return None,
    };
    let (client, id): (ClientId, ConversationId) = (client.parse().ok()?, id.parse().ok()?);
    Some(rows::conversation_key(&client, id))
}
