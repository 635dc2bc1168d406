//! The use cases of a backup and a move: export, import and verify. The service and the command line call the same code here.

mod position;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use self::position::{Part, Position};
use crate::store::{
    ClientStore, ConversationStore, Exported, Flaw, ImportLine, LineKind, RowCounts, StoreError, Waker,
};

/// Exports and imports all conversations and clients of a store.
#[derive(Clone)]
pub struct Backup {
    conversations: ConversationStore,
    clients: ClientStore,
    waker: Arc<dyn Waker>,
}

/// A page of an export.
#[derive(Clone, Debug)]
pub struct ExportPage {
    /// The lines, each as JSON without a line feed.
    pub lines: Vec<String>,
    /// Why rows are not among the lines.
    pub unreadable: Vec<String>,
    /// The cursor of the next page. `None` on the last page.
    pub next: Option<String>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Clients that were added.
    pub clients: usize,
    /// Conversations that were added.
    pub conversations: usize,
    /// Idempotency keys that were added.
    pub keys: usize,
    /// Lines that added nothing, because what they contain exists, or because the conversation of a key does not.
    pub skipped: usize,
}

/// What a store has, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// The rows of conversations.
    pub counts: RowCounts,
    /// The clients.
    pub clients: usize,
    /// What is wrong.
    pub flaws: Vec<Flaw>,
}

/// The reason why an export or an import failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The cursor is not one of an export.
    #[error("the cursor is not one of an export")]
    InvalidCursor,
    /// A line cannot be imported. No line of the call was imported.
    #[error("{reason}")]
    Line {
        /// Its place among the lines of the call, from 0.
        at: usize,
        /// What is wrong.
        reason: String,
    },
    /// The store cannot be reached, or did not confirm a change. The same call may succeed later.
    #[error(transparent)]
    Unavailable(StoreError),
    /// A defect of this program.
    #[error(transparent)]
    Internal(StoreError),
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        if error.is_temporary() { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

impl Backup {
    /// The bytes of lines after which a page ends. The last line can be longer.
    const PAGE_BYTES: usize = 1024 * 1024;
    /// The clients that one scan reads.
    const CLIENTS: usize = 100;
    /// The lines that are written at one time.
    const WRITES: usize = 16;

    /// The backup of a store. `waker` is told when imported conversations are due.
    pub fn new(conversations: ConversationStore, clients: ClientStore, waker: Arc<dyn Waker>) -> Self {
        Self { conversations, clients, waker }
    }

    /// Exports a page. With `reveal`, the secrets in it are in plain text.
    ///
    /// # Errors
    /// [`BackupError`], but not for rows that cannot be read: the page names them.
    pub async fn export(&self, cursor: Option<&str>, reveal: bool) -> Result<ExportPage, BackupError> {
        let mut position = match cursor {
            Some(cursor) => Position::read(cursor).ok_or(BackupError::InvalidCursor)?,
            None => Position::default(),
        };
        let mut page = ExportPage { lines: Vec::new(), unreadable: Vec::new(), next: None };
        let mut room = Self::PAGE_BYTES;
        while let Some(part) = position.part() {
            let behind = position.behind();
            let Exported { lines, unreadable, last } = match part {
                Part::Clients => self.clients.export(behind, Self::CLIENTS).await?,
                Part::Conversations(partition) => {
                    self.conversations.export_conversations(partition, behind, room, reveal).await?
                }
                Part::Keys(partition) => self.conversations.export_keys(partition, behind).await?,
            };
            room = room.saturating_sub(lines.iter().map(String::len).sum());
            page.lines.extend(lines);
            page.unreadable.extend(unreadable.iter().map(ToString::to_string));
            position = position.next(last);
            if room == 0 {
                break;
            }
        }
        page.next = position.part().map(|_| position.to_string());
        Ok(page)
    }

    /// Imports lines of an export. What exists already is left as it is. If one of the lines cannot be imported, none is.
    ///
    /// # Errors
    /// [`BackupError`]. After one of the store, a part may have been imported; the same call can be repeated.
    pub async fn import(&self, lines: &[String]) -> Result<ImportReport, BackupError> {
        let read = lines.iter().enumerate().map(|(at, line)| {
            self.conversations.read_line(line).map_err(|error| BackupError::Line { at, reason: error.to_string() })
        });
        let read: Vec<ImportLine> = read.collect::<Result<_, _>>()?;
        let (keys, others): (Vec<_>, Vec<_>) =
            read.into_iter().partition(|line| line.kind() == LineKind::IdempotencyKey);
        let mut report = ImportReport::default();
        // A key needs its conversation.
        for lines in [others, keys] {
            let mut written = stream::iter(lines)
                .map(
                    |line: ImportLine| async move { self.import_line(&line).await.map(|is_new| (line.kind(), is_new)) },
                )
                .buffer_unordered(Self::WRITES);
            while let Some((kind, is_new)) = written.try_next().await? {
                let counted = match (is_new, kind) {
                    (false, _) => &mut report.skipped,
                    (true, LineKind::Client) => &mut report.clients,
                    (true, LineKind::Conversation) => &mut report.conversations,
                    (true, LineKind::IdempotencyKey) => &mut report.keys,
                };
                *counted += 1;
            }
        }
        Ok(report)
    }

    async fn import_line(&self, line: &ImportLine) -> Result<bool, StoreError> {
        if let Some(client) = line.client() {
            return match self.clients.insert(client).await {
                Err(StoreError::Conflict) => Ok(false),
                result => result.map(|()| true),
            };
        }
        let is_new = self.conversations.import(line).await?;
        if let Some((partition, at)) = line.next_wake_at().filter(|_| is_new) {
            self.waker.wake_at(partition, at).await;
        }
        Ok(is_new)
    }

    /// Reads the whole store and says what is wrong with it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        let mut verification = Verification::default();
        let mut behind = None;
        loop {
            let page = self.clients.export(behind.as_deref(), Self::CLIENTS).await?;
            verification.clients += page.lines.len() + page.unreadable.len();
            verification.flaws.extend(page.unreadable.iter().map(|error| Flaw::Unreadable(error.to_string())));
            if page.last.is_none() {
                break;
            }
            behind = page.last;
        }
        for partition in ConversationStore::partitions() {
            let verified = self.conversations.verify(partition).await?;
            verification.counts = verification.counts.plus(verified.counts);
            verification.flaws.extend(verified.flaws);
        }
        Ok(verification)
    }
}
