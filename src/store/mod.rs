//! Storage: the two ports [`Table`] and [`WakeUpQueue`], the protocol above them, and the backends below them.
//!
//! All state is in the table, and a wake-up is not trusted (docs/decisions/0001-storage-protocol.md). A backend
//! implements the ports and does not know conversations: `rows` defines the keys and values of rows, and
//! [`ConversationStore`] commits changes of them. All backends pass the same conformance suite (`tests/it/store`).

mod azure;
mod clients;
mod conversations;
mod embedded;
mod grouped;
mod live_attempts;
mod memory_queue;
mod monitored;
mod rows;
mod table;
mod wake_up;
mod wake_up_queue;

pub use azure::{
    AzureCredential, AzureNames, AzureQueue, AzureSettings, AzureSetupError, AzureStore, IdentitySource, SettingError,
};
pub use clients::{Client, ClientStore};
pub use conversations::{ConversationStore, Listing, Restored, Revision, Versioned};
pub use embedded::{EmbeddedStore, OpenError, Repair, RepairReport};
pub use grouped::GroupedTable;
pub use live_attempts::{LiveAttempt, LiveAttempts};
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
