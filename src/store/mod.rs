//! Storage: two low-level ports, and the conversation store that speaks the protocol above them.
//!
//! The table is the truth and a hint is only a wake-up (docs/decisions/0001-storage-protocol.md).
//! A backend knows rows, keys and conditions; it knows nothing of conversations. What a row means is
//! in `rows`, which rows change together is in [`ConversationStore`], and every backend passes the
//! same conformance suite (`tests/it/store`).

mod azure;
mod clients;
mod conversations;
mod embedded;
mod queue;
mod rows;
mod simulated;
mod table;

pub use azure::{
    AzureCredential, AzureNames, AzureQueue, AzureSettings, AzureSetupError, AzureStore, IdentitySource, SettingError,
};
pub use clients::{Client, ClientStore};
pub use conversations::{ConversationStore, Listing, Revision, Versioned};
pub use embedded::{EmbeddedStore, OpenError, make_private_dir};
pub use queue::{HintQueue, HintReceiver, MemoryQueue, Receipt, ReceivedHint};
pub use rows::{DueNote, DueRow};
pub use simulated::{Fault, Faults, SimulatedQueue, SimulatedTable};
pub use table::{Cause, Etag, KeyRange, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table};
