//! Sends commits to one partition together, in one transaction.
//!
//! A transaction on Azure costs one request, however many rows it changes. Commits that arrive while a transaction of
//! their partition is on its way wait for it and then go in one group. The layer implements the table port above any
//! table, so the suite and the simulation run through it. The reasons are in docs/decisions/0008-group-commits.md.

mod member;
mod size;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::member::{Member, transact};
pub(super) use self::size::size_in_transaction;
use super::{
    CommitError, Etag, KeyRange, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table, check_operations,
};
use crate::sync::lock;

/// The largest body of an entity group transaction on Azure, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// A transaction holds its partition at most this long, so that one slow response does not delay other commits.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// A table that joins the commits to one partition into groups.
#[derive(Clone)]
pub struct GroupedTable {
    table: Arc<dyn Table>,
    partitions: Arc<Partitions>,
}

impl GroupedTable {
    /// A layer above this table.
    #[must_use]
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table, partitions: Arc::default() }
    }

    /// Sends groups of one partition, one after another, until no commit waits.
    ///
    /// Each transaction is a task of its own. So it goes on when the next group leaves without waiting for it, and a
    /// panic in it does not end this loop.
    async fn send(self, partition: Partition, first: Member) {
        let mut group = vec![first];
        while !group.is_empty() {
            let transaction = tokio::spawn(transact(Arc::clone(&self.table), partition, group));
            let _ = timeout(MAX_WAIT, transaction).await;
            group = self.partitions.next_group(partition);
        }
    }
}

#[async_trait]
impl Table for GroupedTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        // An invalid commit must not cost the members of its group a second request.
        check_operations(&operations)?;
        let (reply, result) = oneshot::channel();
        // The caller may go away at any time, and other commits wait for this one. So a task sends it.
        if let Some(first) = self.partitions.enter(partition, Member::new(operations, reply)) {
            tokio::spawn(self.clone().send(partition, first));
        }
        result.await.unwrap_or_else(|_| Err(CommitError::Unknown("the transaction ended without a result".into())))
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.table.get(partition, key).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.table.scan(partition, range, limit).await
    }
}

/// The waiting commits of each partition. A partition has an entry exactly while a task sends its groups.
#[derive(Default)]
struct Partitions(Mutex<HashMap<Partition, Vec<Member>>>);

impl Partitions {
    /// Lets a commit wait. If no task sends the groups of its partition, the commit is returned, and the caller must
    /// start that task.
    fn enter(&self, partition: Partition, member: Member) -> Option<Member> {
        let mut partitions = lock(&self.0);
        if let Some(waiting) = partitions.get_mut(&partition) {
            waiting.push(member);
            return None;
        }
        partitions.insert(partition, Vec::new());
        Some(member)
    }

    /// The next group of a partition. If it is empty, the task that sends the groups must end.
    fn next_group(&self, partition: Partition) -> Vec<Member> {
        let mut partitions = lock(&self.0);
        let group = partitions.get_mut(&partition).map(take_group).unwrap_or_default();
        if group.is_empty() {
            partitions.remove(&partition);
        }
        group
    }
}

/// Takes the commits that fit into one transaction, in the order of their arrival. A row may be in a transaction only
/// once. The first commit is always taken, so every commit goes sooner or later.
fn take_group(waiting: &mut Vec<Member>) -> Vec<Member> {
    let (mut group, mut rest) = (Vec::new(), Vec::new());
    let (mut operations, mut bytes, mut keys) = (0, 0, HashSet::new());
    // Nobody would learn the result of a commit whose caller has gone, so it is not sent.
    for member in waiting.drain(..).filter(Member::is_awaited) {
        let fits = operations + member.operations.len() <= MAX_COMMIT_OPERATIONS && bytes + member.bytes <= MAX_BYTES;
        if group.is_empty() || (fits && !member.keys().any(|key| keys.contains(key))) {
            operations += member.operations.len();
            bytes += member.bytes;
            keys.extend(member.keys().map(str::to_owned));
            group.push(member);
        } else {
            rest.push(member);
        }
    }
    *waiting = rest;
    group
}

#[cfg(test)]
mod tests;
