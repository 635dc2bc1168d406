//! Storage: two low-level ports, and the conversation store that speaks the protocol above them.
//!
//! The table is the truth and a wake-up is only a wake-up (docs/decisions/0001-storage-protocol.md).
//! A backend knows rows, keys and conditions; it knows nothing of conversations. What a row means is
//! in `rows`, which rows change together is in [`ConversationStore`], and every backend passes the
//! same conformance suite (`tests/it/store`).

mod azure;
mod clients;
mod conversations;
mod embedded;
mod memory_queue;
mod rows;
mod table;
mod wake_up;
mod wake_up_queue;

pub use azure::{
    AzureCredential, AzureNames, AzureQueue, AzureSettings, AzureSetupError, AzureStore, IdentitySource, SettingError,
};
pub use clients::{Client, ClientStore};
pub use conversations::{ConversationStore, Listing, Revision, Versioned};
pub use embedded::{EmbeddedStore, OpenError, make_private_dir};
pub use memory_queue::MemoryQueue;
#[cfg(feature = "testing")]
pub(crate) use rows::read_conversation;
pub use rows::{DueNote, DueRow, ProjectRow, Projection, RowKind};
pub use table::{
    Cause, CommitError, Etag, KeyRange, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table,
    check_operations,
};
pub use wake_up::{InvalidWakeUp, WakeUp};
pub use wake_up_queue::{Receipt, ReceivedWakeUp, WakeUpQueue, WakeUpReceiver};
