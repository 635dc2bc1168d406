//! The quota of the bytes of pending conversations: what counts, what it refuses and when it counts.

use std::num::NonZeroUsize;
use std::sync::Arc;

use mcp_scheduler::domain::{
    BodyTemplate, Conversation, ConversationId, NewConversation, Outcome, Pending, ScheduledBy, Sha256, Update,
    WholeConversation,
};
use mcp_scheduler::scheduler::{Definition, NamedOutcome, Quota, Scheduler, SchedulerError};
use mcp_scheduler::store::{ConversationStore, Operation, Table as _};
use mcp_scheduler::testing::sealer;
use proptest::prelude::*;
use tokio::time::advance;

use super::quota::{LATER, MINUTE, SCANS, refusal, scheduler};
use crate::support::counting_table::CountingTable;
use crate::support::listing::{attempted, change, client, id, new_at};

const EVERYTHING: Pending = Pending { conversations: usize::MAX, bytes: usize::MAX - 1 };

/// A process that has these quotas, and a store that another process uses too.
fn process(conversations: u32, bytes: usize) -> (Scheduler, ConversationStore, Arc<CountingTable>) {
    let table = Arc::new(CountingTable::new());
    let scheduler =
        scheduler(Arc::clone(&table) as _).with_max_pending(conversations.try_into().ok(), NonZeroUsize::new(bytes));
    (scheduler, ConversationStore::new(Arc::clone(&table) as _, sealer()), table)
}

fn new(bytes: usize) -> NewConversation {
    new_at(LATER, "x".repeat(bytes))
}

async fn scheduled(scheduler: &Scheduler, bytes: usize) -> ConversationId {
    scheduler.schedule(&client(), new(bytes)).await.unwrap().id()
}

async fn resize(scheduler: &Scheduler, id: ConversationId, bytes: usize) -> Result<(), SchedulerError> {
    let to = |_: &WholeConversation, _| {
        Ok::<_, SchedulerError>(Update {
            new: new(bytes),
            sets_time: false,
            sets_start: false,
            paused: None,
            definition: None,
        })
    };
    scheduler.update(&client(), id, |_| true, to).await.map(drop)
}

async fn put(scheduler: &Scheduler, name: &str, bytes: usize) -> Result<NamedOutcome, SchedulerError> {
    let definition = Definition {
        fingerprint: Sha256::new([u8::try_from(bytes % 251).unwrap(); 32]),
        paused: None,
        sets_start: true,
    };
    let put = scheduler.schedule_named(&client(), &name.parse().unwrap(), &new(bytes), definition).await;
    put.map(|(_, outcome)| outcome)
}

/// The first count is done when this returns.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_all_processes_count_up_to_the_limit_itself() {
    let (scheduler, other, _) = process(0, 10_000);
    for number in 0..3 {
        let whole = WholeConversation::new(id(number), client(), new(2_000), LATER);
        other.insert(&whole).await.unwrap();
    }
    scheduled(&scheduler, 1_000).await;
    settle().await;
    let refused = refusal(scheduler.schedule(&client(), new(3_001)).await);
    assert_eq!((refused.quota, refused.needed, refused.pending.bytes), (Quota::Bytes, Pending::one(3_001), 7_000));
    scheduled(&scheduler, 3_000).await;
    refusal(scheduler.schedule(&client(), new(1)).await);
    scheduler.schedule(&"bob".parse().unwrap(), new(9_000)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_are_counted_once_until_they_may_have_reached_the_limit_and_then_once_a_minute() {
    let (scheduler, store, table) = process(0, 20_000);
    scheduled(&scheduler, 1_000).await;
    settle().await;
    assert_eq!(table.take().scans, SCANS);
    for _ in 1..20 {
        let id = scheduled(&scheduler, 1_000).await;
        change(&store, id, |it| it.cancel(LATER).unwrap()).await;
    }
    assert_eq!(table.take().scans, 0);
    scheduled(&scheduler, 19_000).await;
    assert_eq!(table.take().scans, SCANS);
    for _ in 0..20 {
        refusal(scheduler.schedule(&client(), new(1)).await);
        advance(MINUTE / 100).await;
    }
    assert_eq!(table.take().scans, 0);
    advance(MINUTE).await;
    refusal(scheduler.schedule(&client(), new(1)).await);
    assert_eq!(table.take().scans, SCANS);
}

#[tokio::test(start_paused = true)]
async fn both_quotas_are_told_from_one_count() {
    let (scheduler, _, table) = process(3, 5_000);
    for bytes in [3_000, 1_000] {
        scheduled(&scheduler, bytes).await;
    }
    settle().await;
    table.take();
    assert_eq!(refusal(scheduler.schedule(&client(), new(2_000)).await).quota, Quota::Bytes);
    scheduled(&scheduler, 500).await;
    assert_eq!(refusal(scheduler.schedule(&client(), new(1)).await).quota, Quota::Conversations);
    assert_eq!(table.take().scans, SCANS);
}

#[tokio::test(start_paused = true)]
async fn an_update_needs_room_for_the_bytes_that_it_adds_and_for_no_conversation() {
    let (scheduler, store, _) = process(2, 10_000);
    let id = scheduled(&scheduler, 4_000).await;
    scheduled(&scheduler, 1_000).await;
    assert_eq!(refusal(scheduler.schedule(&client(), new(1)).await).quota, Quota::Conversations);
    resize(&scheduler, id, 9_000).await.unwrap();
    let refused = refusal(resize(&scheduler, id, 9_001).await);
    assert_eq!((refused.quota, refused.needed.bytes), (Quota::Bytes, 1));
    for bytes in [9_000, 100] {
        resize(&scheduler, id, bytes).await.unwrap();
    }
    assert_eq!(store.count_live(&client(), EVERYTHING).await.unwrap(), Pending { conversations: 2, bytes: 1_100 });
    advance(MINUTE).await;
    resize(&scheduler, id, 9_000).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_name_needs_room_for_what_it_adds() {
    let (scheduler, _, _) = process(0, 10_000);
    assert_eq!(put(&scheduler, "daily", 6_000).await.unwrap(), NamedOutcome::Created);
    assert_eq!(put(&scheduler, "daily", 10_000).await.unwrap(), NamedOutcome::Updated);
    assert_eq!(refusal(put(&scheduler, "daily", 10_001).await).needed, Pending::growth(10_000, 10_001));
    assert_eq!(put(&scheduler, "daily", 10_000).await.unwrap(), NamedOutcome::Unchanged);
    assert_eq!(refusal(put(&scheduler, "weekly", 7).await).needed, Pending::one(7));
}

#[tokio::test(start_paused = true)]
async fn a_copy_and_a_redelivery_need_room_for_their_bytes() {
    let (scheduler, store, table) = process(0, 10_000);
    let failed = scheduled(&scheduler, 6_000).await;
    change(&store, failed, |it: Conversation| attempted(it, Outcome::PermanentFailure, LATER)).await;
    settle().await;
    let waiting = scheduled(&scheduler, 4_001).await;
    refusal(scheduler.redeliver(&client(), failed).await);
    refusal(scheduler.run(&client(), failed, None, ScheduledBy::default()).await);
    scheduler.cancel(&client(), waiting).await.unwrap();
    table.take();
    assert!(!refusal(scheduler.redeliver(&client(), failed).await).recount.is_zero());
    assert_eq!(table.take().scans, 0, "the count is new enough");
    advance(MINUTE).await;
    scheduler.redeliver(&client(), failed).await.unwrap();
    assert_eq!(table.take().scans, SCANS);
    refusal(scheduler.schedule(&client(), new(4_001)).await);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_gave_counts_and_the_rendered_body_does_not() {
    let (scheduler, store, _) = process(0, 100_000);
    let mut large = new(5_000);
    large.payload.body = Some(BodyTemplate { json: r#"["{{conversationText}}"]"#.to_owned(), rendered_bytes: 900_000 });
    let id = scheduler.schedule(&client(), large).await.unwrap().id();
    let bytes = 5_000 + 24;
    assert_eq!(store.count_live(&client(), EVERYTHING).await.unwrap(), Pending::one(bytes));
    // The main row of a large payload says it, too.
    let failed = |it: Conversation| attempted(it, Outcome::PermanentFailure, LATER);
    change(&store, id, failed).await;
    change(&store, id, |it| it.redeliver(LATER).unwrap()).await;
    assert_eq!(store.count_live(&client(), EVERYTHING).await.unwrap(), Pending::one(bytes));
}

/// The index rows as an earlier release wrote them: without a size.
async fn forget_sizes(table: &CountingTable, id: ConversationId) {
    let partition = ConversationStore::partition(id);
    let key = format!("x~ann~live~{:014}~{id}", LATER.as_millis());
    let value = r#"{"v":1,"row":{}}"#.to_owned();
    table.commit(partition, vec![Operation::Replace { key, value, if_match: None }]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_conversation_of_an_earlier_release_counts_as_four_kib_until_its_size_or_place_changes() {
    let (scheduler, store, table) = process(0, 100_000);
    let count = async || store.count_live(&client(), EVERYTHING).await.unwrap();
    let (small, large) = (scheduled(&scheduler, 10).await, scheduled(&scheduler, 20_000).await);
    for id in [small, large] {
        forget_sizes(&table, id).await;
    }
    assert_eq!(count().await, Pending { conversations: 2, bytes: 2 * 4096 });
    change(&store, small, |it| attempted(it, Outcome::Failure, LATER)).await;
    assert_eq!(count().await.bytes, 2 * 4096);
    resize(&scheduler, large, 30_000).await.unwrap();
    assert_eq!(count().await.bytes, 4096 + 30_000);
    change(&store, small, |it| attempted(it, Outcome::PermanentFailure, LATER)).await;
    assert_eq!(count().await, Pending::one(30_000));
    change(&store, small, |it| it.redeliver(LATER).unwrap()).await;
    assert_eq!(count().await.bytes, 10 + 30_000);
}

/// Something that a client does, or that happens to one of its conversations.
#[derive(Clone, Debug)]
enum Event {
    Schedule(usize),
    Resize(usize, usize),
    Put(usize, usize),
    Cancel(usize),
    Fail(usize),
    Redeliver(usize),
    Run(usize),
    Wait(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let (bytes, which) = (1..6_000_usize, 0..12_usize);
    prop_oneof![
        4 => bytes.clone().prop_map(Event::Schedule),
        3 => (which.clone(), bytes.clone()).prop_map(|(which, bytes)| Event::Resize(which, bytes)),
        2 => (0..3_usize, bytes).prop_map(|(which, bytes)| Event::Put(which, bytes)),
        1 => which.clone().prop_map(Event::Cancel),
        2 => which.clone().prop_map(Event::Fail),
        2 => which.clone().prop_map(Event::Redeliver),
        1 => which.prop_map(Event::Run),
        2 => (0..50_u32).prop_map(Event::Wait),
    ]
}

async fn apply(event: Event, scheduler: &Scheduler, store: &ConversationStore, ids: &mut Vec<ConversationId>) {
    let find = |which: usize| ids.get(which % ids.len().max(1)).copied();
    match event {
        Event::Schedule(bytes) => ids.extend(scheduler.schedule(&client(), new(bytes)).await.ok().map(|it| it.id())),
        Event::Put(which, bytes) => {
            let name = ["a", "b", "c"][which];
            if put(scheduler, name, bytes).await.is_ok() {
                ids.push(scheduler.named_id(&client(), &name.parse().unwrap()).await.unwrap());
            }
        }
        Event::Wait(seconds) => advance(std::time::Duration::from_secs(seconds.into())).await,
        Event::Run(which) => {
            let Some(id) = find(which) else { return };
            ids.extend(scheduler.run(&client(), id, None, ScheduledBy::default()).await.ok().map(|it| it.id()));
        }
        Event::Resize(which, bytes) => {
            let Some(id) = find(which) else { return };
            let _ = resize(scheduler, id, bytes).await;
        }
        Event::Cancel(which) => {
            let Some(id) = find(which) else { return };
            let _ = scheduler.cancel(&client(), id).await;
        }
        Event::Redeliver(which) => {
            let Some(id) = find(which) else { return };
            let _ = scheduler.redeliver(&client(), id).await;
        }
        Event::Fail(which) => {
            let Some(id) = find(which) else { return };
            let read = store.get(&client(), id).await.unwrap().unwrap();
            if !read.value.status().is_final() {
                change(store, id, |it| attempted(it, Outcome::PermanentFailure, LATER)).await;
            }
        }
    }
}

/// What is pending, from the conversations themselves.
async fn truth(scheduler: &Scheduler, ids: &[ConversationId]) -> Pending {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut truth = Pending::default();
    for id in ids {
        let whole = scheduler.get(&client(), id).await.unwrap().whole;
        if !whole.conversation.status().is_final() {
            truth = truth.plus(Pending::one(whole.payload.stored_bytes()));
        }
    }
    truth
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The estimate is never too small: what a process alone lets through never exceeds a limit.
    #[test]
    fn a_process_alone_never_exceeds_its_quotas(events in prop::collection::vec(event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (scheduler, store, _) = process(6, 10_000);
            let mut ids = Vec::new();
            for event in events {
                apply(event, &scheduler, &store, &mut ids).await;
                let pending = truth(&scheduler, &ids).await;
                assert!(pending.conversations <= 6 && pending.bytes <= 10_000, "{pending:?}");
                assert_eq!(store.count_live(&client(), EVERYTHING).await.unwrap(), pending);
            }
            for id in ids {
                let _ = scheduler.cancel(&client(), id).await;
            }
            advance(MINUTE).await;
            scheduled(&scheduler, 10_000).await;
        });
    }
}
