//! The quotas: how many conversations of a client may be pending at one time, and how many bytes they may have.
//!
//! They are the same for all clients. Only the callbacks that deliveries schedule are missing from what a process has let
//! through: they are due at once, and nothing refuses them.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use super::ledger::{Admitted, Ledger};
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Pending};
use crate::store::ConversationStore;

/// What the clients have pending, and how much each may have.
pub(super) struct PendingQuota {
    store: ConversationStore,
    /// `usize::MAX` is no limit.
    limit: Pending,
    clients: Ledger<Pending>,
}

/// One of the two quotas of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// The number of pending conversations.
    Conversations,
    /// The bytes that the client gave with them.
    Bytes,
}

/// Something was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// The quota that has no room for it.
    pub quota: Quota,
    /// What needs room.
    pub needed: Pending,
    /// What is pending, approximately.
    pub pending: Pending,
    /// The most that may be pending. `usize::MAX` is no limit.
    pub limit: Pending,
    /// The time after which the process counts again.
    pub recount: Duration,
}

impl Scheduler {
    /// The same with limits on the pending conversations of each client and on their bytes. Without limits nothing is
    /// counted.
    #[must_use]
    pub fn with_max_pending(self, conversations: Option<NonZeroU32>, bytes: Option<NonZeroUsize>) -> Self {
        let conversations = conversations.and_then(|max| usize::try_from(max.get()).ok());
        let limit = Pending {
            conversations: conversations.unwrap_or(usize::MAX),
            bytes: bytes.map_or(usize::MAX, NonZeroUsize::get),
        };
        let has_limit = limit != Pending { conversations: usize::MAX, bytes: usize::MAX };
        let quota =
            has_limit.then(|| Arc::new(PendingQuota { store: self.store.clone(), limit, clients: Ledger::default() }));
        Self { quota, ..self }
    }

    /// Counts what a client has pending, if that decides whether there is room for what it needs.
    pub(super) async fn refresh_quota(&self, client: &ClientId, needed: Pending) -> Result<(), SchedulerError> {
        match &self.quota {
            Some(quota) if needed != Pending::default() => quota.refresh(client, needed).await,
            _ => Ok(()),
        }
    }

    /// Lets through what a client will have pending in addition. `None` if that is nothing, or if there is no quota.
    pub(super) fn take_quota(
        &self,
        client: &ClientId,
        needed: Pending,
    ) -> Result<Option<Admitted<Pending>>, SchedulerError> {
        match &self.quota {
            Some(quota) if needed != Pending::default() => Ok(Some(quota.take(client, needed)?)),
            _ => Ok(None),
        }
    }
}

impl PendingQuota {
    async fn refresh(&self, client: &ClientId, needed: Pending) -> Result<(), SchedulerError> {
        let lacks_room = |pending: &Pending| self.exceeded(*pending, needed).is_some();
        let (store, limit) = (self.store.clone(), self.limit);
        let count = || {
            let client = client.clone();
            async move { store.count_live(&client, limit).await }
        };
        Ok(self.clients.refresh(client, lacks_room, count).await?)
    }

    fn take(&self, client: &ClientId, needed: Pending) -> Result<Admitted<Pending>, SchedulerError> {
        self.clients.take(client, needed, |pending, recount| {
            let (quota, pending, limit) = (self.exceeded(*pending, needed)?, *pending, self.limit);
            let exceeded = QuotaExceeded { quota, needed, pending, limit, recount };
            Some(SchedulerError::QuotaExceeded(Box::new(exceeded)))
        })
    }

    /// The quota that has no room for what is needed. What needs nothing of a quota is not refused by it.
    fn exceeded(&self, pending: Pending, needed: Pending) -> Option<Quota> {
        let all = pending.plus(needed);
        let lacks = |needed: usize, all: usize, limit: usize| needed > 0 && all > limit;
        if lacks(needed.conversations, all.conversations, self.limit.conversations) {
            return Some(Quota::Conversations);
        }
        lacks(needed.bytes, all.bytes, self.limit.bytes).then_some(Quota::Bytes)
    }
}
