//! The quota of pending conversations: what it refuses, when it counts, and what a count reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::delivery::NextDue;
use mcp_scheduler::domain::{
    Conversation, ConversationId, EndpointPolicy, IdempotentRequest, NewConversation, Outcome, Pending, ScheduledBy,
    Sha256, Timestamp,
};
use mcp_scheduler::scheduler::{Definition, NamedOutcome, QuotaExceeded, Scheduler, SchedulerError};
use mcp_scheduler::store::{ConversationStore, MAX_COMMIT_OPERATIONS, Operation, Table};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable, sealer};
use mcp_scheduler::time::{SystemEntropy, VirtualClock};
use tokio::time::{Instant, advance};

use crate::support::counting_table::CountingTable;
use crate::support::listing::{NOW, attempted, change, client, id, new_at, schedule};

pub const LATER: Timestamp = Timestamp::from_millis(NOW.as_millis() + 3_600_000);
pub const MINUTE: Duration = Duration::from_mins(1);
/// A count of few conversations scans each partition once.
pub const SCANS: usize = 16;

fn on(table: Arc<dyn Table>, max_pending: u32) -> Scheduler {
    scheduler(table).with_max_pending(max_pending.try_into().ok(), None)
}

/// A scheduler without a quota.
pub fn scheduler(table: Arc<dyn Table>) -> Scheduler {
    let store = ConversationStore::new(table, sealer());
    let (clock, entropy) = (Arc::new(VirtualClock::starting_at(NOW)), Arc::new(SystemEntropy::new()));
    Scheduler::new(store, Arc::new(NextDue::default()), EndpointPolicy::default(), clock, entropy)
}

/// A process that has this quota, and a store that another process uses too.
fn process(max_pending: u32) -> (Scheduler, ConversationStore, Arc<CountingTable>) {
    let table = Arc::new(CountingTable::new());
    (on(Arc::clone(&table) as _, max_pending), ConversationStore::new(Arc::clone(&table) as _, sealer()), table)
}

fn new() -> NewConversation {
    new_at(LATER, "x".to_owned())
}

async fn scheduled(scheduler: &Scheduler) -> ConversationId {
    scheduler.schedule(&client(), new()).await.unwrap().id()
}

#[track_caller]
pub fn refusal<T>(result: Result<T, SchedulerError>) -> QuotaExceeded {
    match result.err() {
        Some(SchedulerError::QuotaExceeded(exceeded)) => *exceeded,
        other => panic!("not refused by the quota: {other:?}"),
    }
}

/// The first conversation goes through while the client's others are counted. The count is done when this returns.
async fn first(scheduler: &Scheduler) {
    scheduled(scheduler).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn conversations_of_all_processes_count_and_a_process_does_not_exceed_the_limit_by_its_own() {
    let (scheduler, other, _) = process(10);
    for number in 0..6 {
        schedule(&other, number, LATER).await;
    }
    first(&scheduler).await;
    for _ in 0..3 {
        scheduled(&scheduler).await;
    }
    assert_eq!(refusal(scheduler.schedule(&client(), new()).await).pending.conversations, 10);
    let another = "bob".parse().unwrap();
    scheduler.schedule(&another, new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_leaves_room_after_a_minute() {
    let (scheduler, _, _) = process(2);
    let id = scheduled(&scheduler).await;
    scheduled(&scheduler).await;
    refusal(scheduler.schedule(&client(), new()).await);
    scheduler.cancel(&client(), id).await.unwrap();
    advance(MINUTE / 2).await;
    let refused = refusal(scheduler.schedule(&client(), new()).await);
    assert_eq!((refused.pending.conversations, refused.limit.conversations, refused.recount), (2, 2, MINUTE / 2));
    advance(MINUTE / 2).await;
    scheduled(&scheduler).await;
    refusal(scheduler.schedule(&client(), new()).await);
}

#[tokio::test(start_paused = true)]
async fn conversations_are_counted_once_until_they_may_have_reached_the_limit() {
    let (scheduler, store, table) = process(20);
    first(&scheduler).await;
    assert_eq!(table.take().scans, SCANS);
    for _ in 1..20 {
        advance(MINUTE).await;
        let id = scheduled(&scheduler).await;
        change(&store, id, |it| it.cancel(NOW).unwrap()).await;
    }
    assert_eq!(table.take().scans, 0);
    // This process has let 20 through, and 19 of them have ended: it finds that out before it refuses one.
    for _ in 0..19 {
        scheduled(&scheduler).await;
    }
    assert_eq!(table.take().scans, SCANS);
    refusal(scheduler.schedule(&client(), new()).await);
    assert_eq!(table.take().scans, 0, "a refusal within a minute reads nothing");
    advance(MINUTE).await;
    refusal(scheduler.schedule(&client(), new()).await);
    assert_eq!(table.take().scans, SCANS);
}

#[tokio::test(start_paused = true)]
async fn requests_at_the_limit_share_one_count() {
    let (scheduler, store, table) = process(5);
    for number in 0..5 {
        schedule(&store, number, LATER).await;
    }
    first(&scheduler).await;
    advance(MINUTE).await;
    table.take();
    let client = client();
    let results = join_all((0..50).map(|_| scheduler.schedule(&client, new()))).await;
    for result in results {
        refusal(result);
    }
    assert_eq!(table.take().scans, SCANS);
}

/// Reads take a second, and fail when they are made to.
#[derive(Clone, Default)]
struct SlowReads(Arc<AtomicBool>);

impl Faults for SlowReads {
    fn next(&self) -> Fault {
        if self.0.load(SeqCst) { Fault::Refused } else { Fault::None }
    }

    fn latency(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_of_a_process_does_not_wait_for_the_count() {
    let faults = SlowReads::default();
    let scheduler = on(Arc::new(SimulatedTable::new(faults.clone())), 2);
    let started = Instant::now();
    scheduled(&scheduler).await;
    assert_eq!(started.elapsed().as_secs(), 1, "the commit alone");
    scheduled(&scheduler).await;
    advance(MINUTE).await;
    let started = Instant::now();
    faults.0.store(true, SeqCst);
    let failed = scheduler.schedule(&client(), new()).await;
    assert!(matches!(failed, Err(SchedulerError::Unavailable(_))), "{failed:?}");
    faults.0.store(false, SeqCst);
    refusal(scheduler.schedule(&client(), new()).await);
    assert_eq!(started.elapsed().as_secs(), 2, "two counts");
}

/// The first three calls, which are commits, take longer than the scans after them.
#[derive(Default)]
struct SlowCommits(AtomicUsize);

impl Faults for SlowCommits {
    fn latency(&self) -> Duration {
        Duration::from_secs(if self.0.fetch_add(1, SeqCst) < 3 { 2 } else { 1 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_forgets_no_conversation_whose_commit_is_under_way() {
    let scheduler = on(Arc::new(SimulatedTable::new(SlowCommits::default())), 3);
    let client = client();
    let results = join_all((0..20).map(|_| scheduler.schedule(&client, new()))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_quota_nothing_is_counted() {
    let (scheduler, _, table) = process(0);
    for _ in 0..30 {
        first(&scheduler).await;
    }
    assert_eq!(table.take().scans, 0);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_of_an_accepted_request_needs_no_room() {
    let (scheduler, _, _) = process(1);
    let request = |key| IdempotentRequest { key: Sha256::new([key; 32]), fingerprint: Sha256::new([9; 32]) };
    let schedule = async |key| scheduler.schedule_once(&client(), new(), &request(key)).await;
    let first = schedule(1).await.unwrap();
    assert_eq!(schedule(1).await.unwrap().id(), first.id());
    refusal(schedule(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_name_needs_room_only_when_its_conversation_is_created() {
    let (scheduler, _, _) = process(1);
    let put = async |name: &str, fingerprint| {
        let definition = Definition { fingerprint: Sha256::new([fingerprint; 32]), paused: None, sets_start: true };
        let put = scheduler.schedule_named(&client(), &name.parse().unwrap(), &new(), definition).await;
        put.map(|(_, outcome)| outcome)
    };
    assert_eq!(put("daily", 1).await.unwrap(), NamedOutcome::Created);
    assert_eq!(put("daily", 1).await.unwrap(), NamedOutcome::Unchanged);
    assert_eq!(put("daily", 2).await.unwrap(), NamedOutcome::Updated);
    refusal(put("weekly", 1).await);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_runs_now_and_a_redelivery_need_room() {
    let (scheduler, store, _) = process(2);
    let failed = scheduled(&scheduler).await;
    change(&store, failed, |it: Conversation| attempted(it, Outcome::PermanentFailure, LATER)).await;
    let waiting = scheduled(&scheduler).await;
    scheduled(&scheduler).await;
    refusal(scheduler.run(&client(), waiting, None, ScheduledBy::default()).await);
    refusal(scheduler.redeliver(&client(), failed).await);
    scheduler.cancel(&client(), waiting).await.unwrap();
    advance(MINUTE).await;
    scheduler.redeliver(&client(), failed).await.unwrap();
    scheduler.redeliver(&client(), failed).await.unwrap();
    let refused = scheduler.redeliver(&client(), waiting).await;
    assert!(matches!(refused, Err(SchedulerError::RedeliveryRefused(_))), "{refused:?}");
    refusal(scheduler.run(&client(), waiting, None, ScheduledBy::default()).await);
}

/// Adds index rows as conversations have them, without their other rows.
async fn add_index_rows(table: &CountingTable, group: &str, per_partition: u32) {
    for partition in ConversationStore::partitions() {
        let key = |number| format!("x~ann~{group}~{:014}~{}", LATER.as_millis(), id(number));
        let rows: Vec<_> = (0..per_partition).map(key).collect();
        for rows in rows.chunks(MAX_COMMIT_OPERATIONS) {
            let insert = |key: &String| Operation::Insert { key: key.clone(), value: "{}".to_owned() };
            table.commit(partition, rows.iter().map(insert).collect()).await.unwrap();
        }
    }
    table.take();
}

#[tokio::test(start_paused = true)]
async fn a_count_reads_the_index_rows_of_live_conversations_and_stops_at_the_limit() {
    let (_, store, table) = process(0);
    add_index_rows(&table, "live", 6_250).await;
    add_index_rows(&table, "Completed", 100).await;
    let count = async |client: &str, conversations, bytes| {
        let limit = Pending { conversations, bytes };
        store.count_live(&client.parse().unwrap(), limit).await.unwrap().conversations
    };
    assert_eq!(count("ann", 200_000, usize::MAX).await, 100_000);
    let read = table.take();
    assert_eq!((read.scans, read.rows, read.keys.len()), (7 * SCANS, 100_000, 0));
    assert_eq!(count("ann", 16_001, usize::MAX).await, 32_000);
    assert_eq!(table.take().scans, 2 * SCANS);
    assert_eq!(count("ann", 1, usize::MAX).await, 16);
    assert_eq!(table.take().rows, 16);
    // The scans stay large if the bytes are still to be counted.
    assert_eq!(count("ann", 1, 16_001 * 4096).await, 32_000);
    assert_eq!(table.take().scans, 2 * SCANS);
    assert_eq!(count("an", 1, usize::MAX).await, 0);
}
