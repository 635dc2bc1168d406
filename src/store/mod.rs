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
mod logins;
mod memory;
mod monitored;
mod rows;
mod sealer;
mod slot;
mod subscriptions;
mod table;
mod wake_up;
mod wake_up_queue;
mod wake_ups;

pub use azure::{AzureCredential, AzureNames, AzureQueue, AzureSettings, AzureSetupError, AzureStore};
pub use clients::{Client, ClientStore};
pub use conversations::{
    ConversationStore, Exported, Flaw, ImportLine, InboxChange, InboxPage, LineKind, ListFilter, ListOwner, ListPlace,
    ListRows, Listed, Listing, NameHolder, Repetition, Restored, Revision, RowCounts, Verified, Versioned,
};
pub use embedded::{EmbeddedStore, OpenError, Repair, RepairReport};
pub use grouped::GroupedTable;
pub use live_attempts::{LiveAttempt, LiveAttempts};
pub use logins::LoginStore;
pub use memory::MemoryTable;
#[cfg(feature = "testing")]
pub(crate) use rows::read_conversation;
pub use rows::{DueBound, DueKey, DueRow, IndexMark, InvalidDueKey, ProjectRow, Projection, RowKind, Watermark};
pub use sealer::{EncryptionKeys, Sealer};
pub use slot::{InvalidPartitionSet, InvalidSlot, PartitionSet, Slot};
pub use subscriptions::{StoredSubscription, SubscriptionStore};
pub use table::{
    Cause, CommitError, Etag, KeyRange, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table,
    check_operations, is_key,
};
pub use wake_up::{InvalidWakeUp, Part, SlotWakeUp, WakeUp};
pub use wake_up_queue::{NoQueue, Receipt, ReceivedWakeUp, WakeUpQueue, WakeUpReceiver};
pub use wake_ups::{WakeUps, Waker};
