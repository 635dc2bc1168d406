//! A commit in a group, and the result that it gets from the transaction of the group.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::size_in_transaction;
use crate::store::{Cause, CommitError, Etag, Operation, Partition, Table};

type CommitResult = Result<Vec<Option<Etag>>, CommitError>;

/// A commit that waits for its transaction or is on its way.
pub(super) struct Member {
    pub(super) operations: Vec<Operation>,
    /// The size in a transaction.
    pub(super) bytes: usize,
    reply: oneshot::Sender<CommitResult>,
}

impl Member {
    pub(super) fn new(operations: Vec<Operation>, reply: oneshot::Sender<CommitResult>) -> Self {
        let bytes = operations.iter().map(size_in_transaction).sum();
        Self { operations, bytes, reply }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().map(Operation::key)
    }

    /// Whether the caller still waits for the result.
    pub(super) fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }

    /// A caller that has gone away needs no result, so a reply that cannot be sent is no error.
    fn reply(self, result: CommitResult) {
        let _ = self.reply.send(result);
    }

    async fn commit_alone(self, table: Arc<dyn Table>, partition: Partition) {
        let Self { operations, reply, .. } = self;
        let _ = reply.send(table.commit(partition, operations).await);
    }
}

/// Sends the commits of a group in one transaction, and gives each its result.
pub(super) async fn transact(table: Arc<dyn Table>, partition: Partition, mut group: Vec<Member>) {
    if group.len() == 1 {
        if let Some(only) = group.pop() {
            only.commit_alone(table, partition).await;
        }
        return;
    }
    let operations = group.iter().flat_map(|member| member.operations.iter().cloned()).collect();
    match table.commit(partition, operations).await {
        Ok(etags) => {
            let mut etags = etags.into_iter();
            for member in group {
                let own = etags.by_ref().take(member.operations.len()).collect();
                member.reply(Ok(own));
            }
        }
        Err(CommitError::Conflict { operation }) => {
            if let Some((index, own)) = operation.and_then(|position| find(&group, position)) {
                group.remove(index).reply(Err(CommitError::Conflict { operation: Some(own) }));
            }
            // Nothing was applied, and nothing is known about the other commits.
            send_alone(&table, partition, group);
        }
        // The refusal may be the fault of one commit, or of their number. No commit may fail for another one.
        Err(CommitError::Refused(_)) => send_alone(&table, partition, group),
        Err(CommitError::Unavailable(cause)) => reply_all(group, &cause, CommitError::Unavailable),
        Err(CommitError::Unknown(cause)) => reply_all(group, &cause, CommitError::Unknown),
    }
}

/// Gives all commits the same error. A cause cannot be copied, so each gets its text.
fn reply_all(group: Vec<Member>, cause: &Cause, error: fn(Cause) -> CommitError) {
    let text = cause.to_string();
    for member in group {
        member.reply(Err(error(text.clone().into())));
    }
}

/// The commit that contains an operation of the group, and the position of the operation in that commit.
fn find(group: &[Member], mut position: usize) -> Option<(usize, usize)> {
    for (index, member) in group.iter().enumerate() {
        match position.checked_sub(member.operations.len()) {
            Some(rest) => position = rest,
            None => return Some((index, position)),
        }
    }
    None
}

/// Sends each commit alone, all at the same time. A second group could fail for the next commit with a conflict, and
/// the last one would wait for as many transactions as there are conflicts.
fn send_alone(table: &Arc<dyn Table>, partition: Partition, group: Vec<Member>) {
    for member in group {
        tokio::spawn(member.commit_alone(Arc::clone(table), partition));
    }
}
