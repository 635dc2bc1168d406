//! The layer above a table whose transactions a test answers one by one, in virtual time.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;

mod limit_tests;

type CommitResult = Result<Vec<Option<Etag>>, CommitError>;

const HERE: Partition = Partition::new("here");
const THERE: Partition = Partition::new("there");

/// A table that passes each transaction to the test.
struct ScriptedTable(mpsc::UnboundedSender<Transaction>);

/// A transaction that is on its way.
struct Transaction {
    operations: Vec<Operation>,
    answer: oneshot::Sender<CommitResult>,
}

impl Transaction {
    fn keys(&self) -> String {
        self.operations.iter().map(Operation::key).collect::<Vec<_>>().join(" ")
    }

    fn answer(self, result: CommitResult) {
        assert!(self.answer.send(result).is_ok(), "the transaction is still on its way");
    }

    /// Each row gets its key as its etag.
    fn succeed(self) {
        let etag = |operation: &Operation| match operation {
            Operation::Delete { .. } => None,
            written => Some(Etag::new(written.key().to_owned())),
        };
        let etags = self.operations.iter().map(etag).collect();
        self.answer(Ok(etags));
    }

    fn conflict(self, operation: Option<usize>) {
        self.answer(Err(CommitError::Conflict { operation }));
    }
}

#[async_trait]
impl Table for ScriptedTable {
    async fn commit(&self, _: Partition, operations: Vec<Operation>) -> CommitResult {
        let (answer, result) = oneshot::channel();
        self.0.send(Transaction { operations, answer }).unwrap();
        result.await.expect("the test drops a transaction to make its task panic")
    }

    async fn get(&self, _: Partition, _: &str) -> Result<Option<Row>, StoreError> {
        Ok(None)
    }

    async fn scan(&self, _: Partition, _: &KeyRange, _: usize) -> Result<Vec<Row>, StoreError> {
        Ok(Vec::new())
    }
}

/// The layer, and the transactions that it has sent.
struct Stage {
    table: GroupedTable,
    sent: mpsc::UnboundedReceiver<Transaction>,
}

impl Stage {
    fn new() -> Self {
        let (sender, sent) = mpsc::unbounded_channel();
        Self { table: GroupedTable::new(Arc::new(ScriptedTable(sender))), sent }
    }

    /// A stage with a transaction on its way.
    async fn busy() -> (Self, Transaction) {
        let mut stage = Self::new();
        stage.commit("first").await;
        let first = stage.next();
        (stage, first)
    }

    /// Starts a commit that inserts these rows, and waits until it has done all that it can.
    async fn commit(&self, keys: &str) -> JoinHandle<CommitResult> {
        self.commit_operations(HERE, keys.split(' ').map(insert).collect()).await
    }

    async fn commit_operations(&self, partition: Partition, operations: Vec<Operation>) -> JoinHandle<CommitResult> {
        let table = self.table.clone();
        let commit = tokio::spawn(async move { table.commit(partition, operations).await });
        settle().await;
        commit
    }

    /// The next transaction that was sent.
    fn next(&mut self) -> Transaction {
        self.sent.try_recv().expect("a transaction is on its way")
    }

    fn nothing_was_sent(&mut self) -> bool {
        self.sent.try_recv().is_err()
    }
}

/// Lets all tasks run until each waits for another one, an answer or a later time.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

fn insert(key: &str) -> Operation {
    insert_value(key, "v")
}

fn insert_value(key: &str, value: &str) -> Operation {
    Operation::Insert { key: key.to_owned(), value: value.to_owned() }
}

fn delete(key: &str) -> Operation {
    Operation::Delete { key: key.to_owned(), if_match: None }
}

/// Inserts of this many rows.
fn many(name: &str, count: usize) -> Vec<Operation> {
    (0..count).map(|i| insert(&format!("{name}{i}"))).collect()
}

/// The result of a commit that has ended, in short.
async fn ended(commit: JoinHandle<CommitResult>) -> String {
    settle().await;
    assert!(commit.is_finished(), "the commit still waits");
    match commit.await.unwrap() {
        Ok(etags) => etags.iter().map(|etag| etag.as_ref().map_or("-", Etag::as_str)).collect::<Vec<_>>().join(" "),
        Err(CommitError::Conflict { operation }) => format!("conflict {operation:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_goes_at_once_and_alone_if_none_is_on_its_way() {
    let mut stage = Stage::new();
    let start = Instant::now();
    for key in ["a", "b"] {
        let commit = stage.commit(key).await;
        let sent = stage.next();
        assert_eq!(sent.keys(), key);
        sent.succeed();
        assert_eq!(ended(commit).await, key);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn commits_that_arrive_meanwhile_go_together_and_each_gets_its_own_etags() {
    let (mut stage, first) = Stage::busy().await;
    let a = stage.commit_operations(HERE, vec![insert("a1"), delete("a2"), insert("a3")]).await;
    let b = stage.commit("b").await;
    let c = stage.commit("c1 c2").await;
    assert!(stage.nothing_was_sent());
    first.succeed();
    settle().await;
    let together = stage.next();
    assert_eq!(together.keys(), "a1 a2 a3 b c1 c2");
    together.succeed();
    assert_eq!(ended(a).await, "a1 - a3");
    assert_eq!(ended(b).await, "b");
    assert_eq!(ended(c).await, "c1 c2");
    assert!(stage.nothing_was_sent());
}

#[tokio::test(start_paused = true)]
async fn a_second_commit_of_a_row_waits_for_the_next_transaction() {
    let (mut stage, first) = Stage::busy().await;
    for keys in ["a row", "row b", "c", "row"] {
        stage.commit(keys).await;
    }
    first.succeed();
    for expected in ["a row c", "row b", "row"] {
        settle().await;
        let sent = stage.next();
        assert_eq!(sent.keys(), expected);
        assert!(stage.nothing_was_sent());
        sent.succeed();
    }
}

/// A group of three commits with 2, 3 and 1 operations that is on its way.
async fn group_of_three() -> (Stage, Transaction, [JoinHandle<CommitResult>; 3]) {
    let (mut stage, first) = Stage::busy().await;
    let members = [stage.commit("a1 a2").await, stage.commit("b1 b2 b3").await, stage.commit("c").await];
    first.succeed();
    settle().await;
    let group = stage.next();
    assert_eq!(group.keys(), "a1 a2 b1 b2 b3 c");
    (stage, group, members)
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_told_to_the_commit_whose_operation_it_names_and_the_others_go_alone_at_once() {
    for (named, loser, own, others) in [
        (0, 0, 0, ["b1 b2 b3", "c"]),
        (1, 0, 1, ["b1 b2 b3", "c"]),
        (2, 1, 0, ["a1 a2", "c"]),
        (4, 1, 2, ["a1 a2", "c"]),
        (5, 2, 0, ["a1 a2", "b1 b2 b3"]),
    ] {
        let (mut stage, group, members) = group_of_three().await;
        group.conflict(Some(named));
        settle().await;
        let alone = others.map(|keys| {
            let sent = stage.next();
            assert_eq!(sent.keys(), keys);
            sent
        });
        // They do not hold their partition.
        stage.commit("later").await;
        assert_eq!(stage.next().keys(), "later");
        let [one, other] = alone;
        one.succeed();
        other.conflict(Some(0));
        let mut results = Vec::new();
        for member in members {
            results.push(ended(member).await);
        }
        assert_eq!(results.remove(loser), format!("conflict Some({own})"), "operation {named}");
        assert_eq!(results, [others[0], "conflict Some(0)"], "operation {named}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_commit_goes_alone_if_the_service_names_no_operation_of_the_group_or_refuses_it() {
    let errors = [
        CommitError::Conflict { operation: None },
        CommitError::Conflict { operation: Some(6) },
        CommitError::Refused("too large".to_owned()),
    ];
    for error in errors {
        let (mut stage, group, [a, b, c]) = group_of_three().await;
        group.answer(Err(error));
        settle().await;
        let alone = ["a1 a2", "b1 b2 b3", "c"].map(|keys| {
            let sent = stage.next();
            assert_eq!(sent.keys(), keys);
            sent
        });
        let [of_a, of_b, of_c] = alone;
        of_b.answer(Err(CommitError::Refused("this one is malformed".to_owned())));
        of_a.conflict(None);
        of_c.succeed();
        assert_eq!(ended(a).await, "conflict None");
        assert_eq!(ended(b).await, "the store port refuses the call: this one is malformed");
        assert_eq!(ended(c).await, "c");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_result_is_unknown_to_all_and_nothing_is_repeated() {
    let (mut stage, group, members) = group_of_three().await;
    group.answer(Err(CommitError::Unknown("no response".into())));
    for member in members {
        assert_eq!(ended(member).await, "the result of the commit is unknown: no response");
    }
    assert!(stage.nothing_was_sent());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_unavailable_is_so_for_all() {
    let (mut stage, group, members) = group_of_three().await;
    group.answer(Err(CommitError::Unavailable("too busy".into())));
    for member in members {
        assert_eq!(ended(member).await, "the store is unavailable: too busy");
    }
    assert!(stage.nothing_was_sent());
}

#[tokio::test(start_paused = true)]
async fn a_commit_waits_at_most_a_second_for_a_transaction() {
    let mut stage = Stage::new();
    let start = Instant::now();
    let slow = stage.commit("slow").await;
    let first = stage.next();
    sleep(Duration::from_millis(300)).await;
    let (a, b) = (stage.commit("a").await, stage.commit("b").await);
    sleep(Duration::from_millis(699)).await;
    assert!(stage.nothing_was_sent());
    let second = stage.sent.recv().await.unwrap();
    assert_eq!((second.keys().as_str(), start.elapsed()), ("a b", MAX_WAIT));
    // The second transaction holds the partition now, also after the answer to the first one.
    let c = stage.commit("c").await;
    first.succeed();
    assert_eq!(ended(slow).await, "slow");
    assert!(stage.nothing_was_sent());
    second.succeed();
    assert_eq!(ended(a).await, "a");
    assert_eq!(ended(b).await, "b");
    let third = stage.next();
    assert_eq!(third.keys(), "c");
    third.succeed();
    assert_eq!(ended(c).await, "c");
}

#[tokio::test(start_paused = true)]
async fn a_slow_transaction_holds_its_partition_no_longer_than_a_second() {
    let (mut stage, first) = Stage::busy().await;
    sleep(MAX_WAIT + Duration::from_millis(1)).await;
    let a = stage.commit("a").await;
    let second = stage.next();
    assert_eq!(second.keys(), "a");
    second.succeed();
    assert_eq!(ended(a).await, "a");
    first.succeed();
}

#[tokio::test(start_paused = true)]
async fn a_partition_does_not_wait_for_another() {
    let (mut stage, first) = Stage::busy().await;
    let there = stage.commit_operations(THERE, vec![insert("there")]).await;
    stage.next().succeed();
    assert_eq!(ended(there).await, "there");
    first.succeed();
}

#[tokio::test(start_paused = true)]
async fn other_commits_are_not_lost_if_a_caller_goes_away() {
    let mut stage = Stage::new();
    let leader = stage.commit("leader").await;
    let first = stage.next();
    let [gone, a, b] = [stage.commit("gone").await, stage.commit("a").await, stage.commit("b").await];
    leader.abort();
    gone.abort();
    settle().await;
    assert!(stage.nothing_was_sent(), "the transaction of the leader is still on its way");
    first.succeed();
    settle().await;
    let second = stage.next();
    assert_eq!(second.keys(), "a b", "nobody waits for the other commit any more");
    a.abort();
    settle().await;
    second.conflict(Some(0));
    settle().await;
    stage.next().succeed();
    assert_eq!(ended(b).await, "b");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_transaction_leaves_its_result_unknown_and_does_not_hold_the_partition() {
    let mut stage = Stage::new();
    let broken = stage.commit("broken").await;
    let first = stage.next();
    let a = stage.commit("a").await;
    drop(first);
    assert_eq!(ended(broken).await, "the result of the commit is unknown: the transaction ended without a result");
    stage.next().succeed();
    assert_eq!(ended(a).await, "a");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_commit_is_refused_before_it_joins_a_group() {
    let (stage, first) = Stage::busy().await;
    for operations in [Vec::new(), vec![insert("a"), insert("a")], vec![insert("a b")], many("k", 101)] {
        let commit = stage.commit_operations(HERE, operations).await;
        assert!(ended(commit).await.starts_with("the store port refuses the call"));
    }
    first.succeed();
}
