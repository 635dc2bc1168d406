//! The use cases of a client: schedule, get, wait, list, update, run, cancel and redeliver, one or many. REST and MCP call the
//! same code here.

mod admission;
mod budget;
mod bulk;
mod cancel;
mod change;
mod cursor;
mod ledger;
mod list;
mod list_limiter;
mod named;
mod placement;
mod quota;
mod redeliver;
mod run;
mod schedule;
mod update;
mod wait;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::current::Current;
use crate::domain::{
    ClientId, ClientUsage, Conversation, ConversationId, EndpointHost, EndpointPolicy, RedeliveryRefused, Status,
    Timestamp, TooLate, UpdateRefused, WholeConversation,
};
use crate::store::{ConversationStore, LiveAttempts, StoreError, Versioned, Waker};
pub use crate::store::{ListFilter, ListOwner, Listed};
use crate::time::{Clock, Entropy, random};
pub use budget::{BudgetExceeded, LimitsOfClients};
pub use bulk::BulkResult;
pub use cancel::Cancelled;
pub use cursor::CursorKeys;
use ledger::Ledger;
pub use list::{ListPage, ListQuery};
use list_limiter::ListLimiter;
pub use named::{Definition, NamedOutcome};
use placement::Placement;
use quota::PendingQuota;
pub use quota::{Quota, QuotaExceeded};
pub use update::Found;

/// Runs the use cases of a client on a store and a wake-up queue.
#[derive(Clone)]
pub struct Scheduler {
    store: ConversationStore,
    waker: Arc<dyn Waker>,
    endpoints: EndpointPolicy,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    placement: Arc<Placement>,
    live: LiveAttempts,
    lists: Arc<ListLimiter>,
    quota: Option<Arc<PendingQuota>>,
    limits: Option<Arc<dyn LimitsOfClients>>,
    budgets: Arc<Ledger<ClientUsage>>,
    cursors: Current<CursorKeys>,
    /// Ends the waits. None if a call never waits.
    stop: Option<CancellationToken>,
}

/// The reason why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The conversation does not exist, or belongs to another client.
    #[error("this client has no conversation with this id")]
    NotFound,
    /// The conversation cannot be cancelled any more.
    #[error("the conversation {reason}")]
    TooLate {
        /// The status of the conversation.
        status: Status,
        /// The reason why it cannot be cancelled.
        reason: TooLate,
    },
    /// The conversation has not failed, or has had too many attempts to be redelivered.
    #[error("the conversation {0}")]
    RedeliveryRefused(RedeliveryRefused),
    /// The conversation is final, or has begun to be delivered, so it cannot be updated.
    #[error("the conversation {reason}")]
    UpdateRefused {
        /// The status of the conversation.
        status: Status,
        /// The reason why it cannot be updated.
        reason: UpdateRefused,
    },
    /// The conversation is not in the state that the client wants to change.
    #[error("the conversation has changed")]
    OtherState,
    /// Other requests changed the conversation first, each time that the change was tried.
    #[error("other requests keep changing the conversation")]
    Busy,
    /// The cursor is not one of this list of this client.
    #[error("the cursor is not one of this list")]
    InvalidCursor,
    /// An earlier request with the same idempotency key was another one.
    #[error("the idempotency key belongs to another request")]
    KeyOfOtherRequest,
    /// The conversation that an earlier request with the same idempotency key has scheduled no longer exists.
    #[error("the conversation of this idempotency key no longer exists")]
    ConversationGone,
    /// Other lists of this client are being read, and this one has waited too long for them.
    #[error("other lists of this client are being read")]
    TooManyLists,
    /// A quota of the client has no room for what would be pending.
    #[error("a quota of the client has no room for it")]
    QuotaExceeded(Box<QuotaExceeded>),
    /// A budget of the client has no room for it.
    #[error("a budget of the client has no room for it")]
    BudgetExceeded(Box<BudgetExceeded>),
    /// The client may schedule only to approved hosts, and this one is not approved.
    #[error("the host {host} is not approved for the client {client}")]
    HostNotApproved {
        /// The client.
        client: ClientId,
        /// The host.
        host: EndpointHost,
    },
    /// The store cannot be reached, or did not confirm a change. The same request may succeed later.
    #[error(transparent)]
    Unavailable(StoreError),
    /// A defect of this program, or a row that cannot be read. The same request would fail again.
    #[error(transparent)]
    Internal(StoreError),
}

impl From<StoreError> for SchedulerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Busy,
            error if error.is_temporary() => Self::Unavailable(error),
            error => Self::Internal(error),
        }
    }
}

impl Scheduler {
    /// A scheduler for the conversations in a store.
    pub fn new(
        store: ConversationStore,
        waker: Arc<dyn Waker>,
        endpoints: EndpointPolicy,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let (live, lists) = (LiveAttempts::default(), Arc::new(ListLimiter::new()));
        let cursors = CursorKeys::new([random::<32>(&*entropy)]).into();
        let placement = Arc::new(Placement::new(random(&*entropy)));
        Self {
            store,
            waker,
            endpoints,
            clock,
            entropy,
            placement,
            live,
            lists,
            quota: None,
            limits: None,
            budgets: Arc::default(),
            cursors,
            stop: None,
        }
    }

    /// The same with keys that other processes have, too. Without them, a cursor is valid in this process only.
    #[must_use]
    pub fn with_cursor_keys(self, cursors: Current<CursorKeys>) -> Self {
        Self { cursors, ..self }
    }

    /// The same beside a deliverer, whose attempts cannot be cancelled while they are under way.
    #[must_use]
    pub fn beside(self, live: LiveAttempts) -> Self {
        Self { live, ..self }
    }

    /// Whether something could be stored in the last minute, if it was tried.
    #[must_use]
    pub fn can_store(&self) -> bool {
        !self.store.is_failing()
    }

    async fn read_whole(
        &self,
        client: &ClientId,
        id: ConversationId,
    ) -> Result<(Versioned<Conversation>, WholeConversation), SchedulerError> {
        let read = self.read(client, id).await?;
        let payload = self.store.payload(&read).await?;
        let whole = WholeConversation { conversation: read.value.clone(), payload };
        Ok((read, whole))
    }

    async fn read(&self, client: &ClientId, id: ConversationId) -> Result<Versioned<Conversation>, SchedulerError> {
        self.store.get(client, id).await?.ok_or(SchedulerError::NotFound)
    }

    /// The current time of the injected clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The rules that an endpoint has to follow.
    #[must_use]
    pub const fn endpoint_policy(&self) -> &EndpointPolicy {
        &self.endpoints
    }

    /// Sees to it that a worker looks at a conversation when its time has come. The commit that set the time is done.
    async fn wake_next(&self, conversation: &Conversation) {
        if let Some(at) = conversation.next_wake_at() {
            self.waker.wake_at(ConversationStore::partition(conversation.id()), at).await;
        }
    }
}
