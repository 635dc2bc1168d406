//! Exporting conversations and idempotency keys.
//!
//! An export is no snapshot: rows are read while others change them. Each conversation is whole by itself, because its main
//! row is read again after its payload row.

use futures_util::stream::{self, StreamExt as _};

use super::ConversationStore;
use crate::domain::WholeConversation;
use crate::store::rows::{self, ConversationLine, ExportLine, KeyLine, Outline};
use crate::store::{KeyRange, Operation, Partition, Row, StoreError, Table as _};

/// A part of an export.
#[derive(Debug, Default)]
pub struct Exported {
    /// The lines, as JSON without a line feed.
    pub lines: Vec<String>,
    /// Why rows are not among the lines.
    pub unreadable: Vec<StoreError>,
    /// The key behind which there may be more.
    pub last: Option<String>,
}

impl Exported {
    /// Adds a line, or the reason why it is missing.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed.
    pub(in crate::store) fn add(&mut self, line: Result<Option<ExportLine>, StoreError>) -> Result<(), StoreError> {
        match line {
            Ok(Some(line)) => {
                let json = serde_json::to_string(&line).map_err(|error| StoreError::Refused(error.to_string()))?;
                self.lines.push(json);
            }
            Ok(None) => {}
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Undecryptable { .. })) => self.unreadable.push(error),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl ConversationStore {
    /// The rows that one scan reads.
    const EXPORT_SCAN: usize = 100;
    /// The conversations whose other rows are read at one time.
    const EXPORT_READS: usize = 8;

    /// Exports conversations of a partition behind a key, until their lines have `room` bytes. With `reveal`, what is
    /// encrypted is in plain text.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. What cannot be read or decrypted is no error here.
    pub async fn export_conversations(
        &self,
        partition: Partition,
        behind: Option<&str>,
        room: usize,
        reveal: bool,
    ) -> Result<Exported, StoreError> {
        let range = KeyRange::prefix(rows::MAIN_ROWS);
        let (page, last) = self.scan_behind(partition, range, behind, Self::EXPORT_SCAN).await?;
        let mut exported = Exported { last, ..Exported::default() };
        let mut bytes = 0;
        let mut lines = stream::iter(page)
            .map(|row| async move { (row.key.clone(), self.conversation_line(partition, row, reveal).await) })
            .buffered(Self::EXPORT_READS);
        while let Some((key, line)) = lines.next().await {
            exported.add(line)?;
            bytes += exported.lines.last().map_or(0, String::len);
            if bytes >= room {
                exported.last = Some(key);
                break;
            }
            // The embedded store reads without awaiting, and deliveries must not wait for an export.
            tokio::task::yield_now().await;
        }
        Ok(exported)
    }

    /// Exports idempotency keys of a partition behind a key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn export_keys(&self, partition: Partition, behind: Option<&str>) -> Result<Exported, StoreError> {
        let range = KeyRange::prefix(rows::KEY_ROWS);
        let (page, last) = self.scan_behind(partition, range, behind, Self::EXPORT_SCAN).await?;
        let mut exported = Exported { last, ..Exported::default() };
        for row in page {
            let line = rows::decode_key_row(&row).map(|_| Some(ExportLine::IdempotencyKey(KeyLine::new(row))));
            exported.add(line)?;
        }
        Ok(exported)
    }

    /// The line of the conversation with this main row. `None` if it was removed meanwhile.
    async fn conversation_line(
        &self,
        partition: Partition,
        mut main: Row,
        reveal: bool,
    ) -> Result<Option<ExportLine>, StoreError> {
        loop {
            let outline = rows::decode_outline(&main)?;
            self.secondary_rows(&main.key, &outline.conversation, outline.projection)?;
            let (client, id) = (outline.conversation.client(), outline.conversation.id());
            let payload = if outline.has_payload_row {
                let payload_key = rows::payload_key(client, id);
                let payload = self.table.get(partition, &payload_key).await?;
                // An update may have changed both rows between the two reads.
                match self.table.get(partition, &main.key).await? {
                    Some(now) if now.etag == main.etag => {}
                    Some(now) => {
                        main = now;
                        continue;
                    }
                    None => return Ok(None),
                }
                let reason = || "it is missing, and its main row exists".to_owned();
                Some(payload.ok_or_else(|| StoreError::Corrupt { key: payload_key, reason: reason() })?)
            } else {
                None
            };
            let holds_name = match outline.conversation.name() {
                Some(name) => self.name_holder(client, name).await?.is_some_and(|holder| holder.id == id),
                None => false,
            };
            let (main, payload) = self.as_exported(&outline, main, payload, reveal)?;
            return Ok(Some(ExportLine::Conversation(ConversationLine::new(main, payload, holds_name))));
        }
    }

    /// The rows of a conversation with their secrets in plain text, or encrypted.
    fn as_exported(
        &self,
        outline: &Outline,
        main: Row,
        payload: Option<Row>,
        reveal: bool,
    ) -> Result<(Row, Option<Row>), StoreError> {
        match (reveal, outline.is_sealed) {
            (false, true) => Ok((main, payload)),
            (true, _) => {
                let payload = payload.map(|row| rows::reveal(row, &self.sealer)).transpose()?;
                Ok((rows::reveal(main, &self.sealer)?, payload))
            }
            // An earlier release wrote the rows, with the secrets in plain text.
            (false, false) => {
                let conversation = rows::decode_conversation(&main, &self.sealer)?;
                let in_own_row = payload.map(|row| rows::decode_payload(&row, &self.sealer)).transpose()?;
                let Some(payload) = in_own_row.or(conversation.payload.in_main_row().cloned()) else {
                    return Ok((main, None));
                };
                let whole = WholeConversation { conversation: conversation.conversation, payload };
                let written = self.projection.insert(&whole, &self.sealer)?.into_iter();
                let mut rows = written.filter_map(|operation| match operation {
                    Operation::Insert { key, value } => Some(Row { key, value, etag: main.etag.clone() }),
                    Operation::Replace { .. } | Operation::Delete { .. } => None,
                });
                // The main row comes first.
                let sealed = rows.next().unwrap_or_else(|| main.clone());
                Ok((sealed, rows.find(|row| row.key.starts_with(rows::PAYLOAD_ROWS))))
            }
        }
    }
}
