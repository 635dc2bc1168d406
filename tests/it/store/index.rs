//! The index rows: they follow their conversations, a list by status reads nothing else, and earlier releases' conversations
//! get theirs.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::{
    Claim, Conversation, ConversationId, LeaseToken, Outcome, Status, Timestamp, WholeConversation,
};
use mcp_scheduler::maintenance::Indexer;
use mcp_scheduler::store::{ConversationStore, IndexMark, ListFilter, ListRows, Listed, Operation, Table};
use mcp_scheduler::testing::{SimulatedTable, sealer};
use mcp_scheduler::time::VirtualClock;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::counting_table::{Counted, CountingTable};
use crate::support::listing::{
    NOW, attempted, change, claimed, client, copy_as_earlier_release, due_at, id, ids, index_keys, page, pages,
    schedule,
};
use crate::support::simulation::index_rows::expected;

const HOUR: Duration = Duration::from_hours(1);

async fn indexed_store(table: Arc<dyn Table>) -> ConversationStore {
    let store = ConversationStore::new(table, sealer());
    store.write_index_mark(None, IndexMark::Complete).await.unwrap();
    store
}

/// What the first page of a list by status reads, beside this many other rows: of the client in other statuses, and of
/// another client in the same one.
async fn read_by_a_page(others: u32, filter: &ListFilter) -> Counted {
    let table = Arc::new(CountingTable::new());
    let store = indexed_store(Arc::clone(&table) as _).await;
    for number in 0..30 {
        let id = schedule(&store, number, NOW + HOUR + Duration::from_millis(number.into())).await;
        let end = NOW + Duration::from_millis(number.into());
        match filter.listed {
            Listed::Of(Status::Failed) => {
                change(&store, id, |it| attempted(it, Outcome::PermanentFailure, end)).await;
            }
            Listed::Of(Status::InProgress) => change(&store, id, claimed).await,
            _ => {}
        }
    }
    let is_scheduled = filter.listed == Listed::Of(Status::Scheduled);
    for number in 0..others {
        let (of, due) = match number % 4 {
            0 if is_scheduled => ("ann", NOW - HOUR),
            0 | 2 => ("ann", NOW + 3 * HOUR),
            _ => ("anna", NOW + HOUR),
        };
        let WholeConversation { mut conversation, payload } =
            due_at(id(1_000 + number), of.parse().unwrap(), due, "x".to_owned());
        if number % 2 == 1 || (is_scheduled && number % 4 == 2) {
            conversation = conversation.cancel(NOW).unwrap();
        }
        store.insert(&WholeConversation { conversation, payload }).await.unwrap();
    }
    table.take();
    let now = if filter.listed == Listed::Of(Status::InProgress) { NOW + 2 * HOUR } else { NOW };
    let page = page(&store, filter, now, 10, None).await;
    assert_eq!(page.conversations.len(), 10, "{filter:?}");
    assert!(page.next.is_some_and(|next| next.rows == ListRows::Index), "{filter:?}");
    let mut read = table.take();
    read.keys.sort();
    read
}

#[tokio::test]
async fn a_page_costs_the_same_beside_few_and_many_other_conversations() {
    for status in [Status::Scheduled, Status::InProgress, Status::Failed] {
        let filter = &ListFilter::of(status);
        let (few, many) = (read_by_a_page(100, filter).await, read_by_a_page(20_000, filter).await);
        assert_eq!(few, many, "{status}");
        assert_eq!(few.scans, 16, "{status}: one for each partition");
        assert_eq!(few.keys.len(), 10, "{status}: one main row for each conversation of the page");
        assert!(few.rows <= 30, "{status}: {} rows", few.rows);
        println!("{status}: {} scans with {} rows, {} reads", few.scans, few.rows, few.keys.len());
    }
}

/// Two conversations for each state, and all that the lists should show of them, in their order.
#[tokio::test]
async fn each_list_has_its_conversations_in_the_order_of_their_times() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = indexed_store(table).await;
    let at = |minutes: u64| NOW + Duration::from_mins(minutes);
    let (next, later) = (schedule(&store, 1, at(61)).await, schedule(&store, 2, at(70)).await);
    let (late, claimed_early) =
        (schedule(&store, 3, at(50)).await, schedule(&store, 4, at(60) + Duration::from_millis(9)).await);
    change(&store, claimed_early, claimed).await;
    let waiting = schedule(&store, 5, at(5)).await;
    change(&store, waiting, |it| attempted(it, Outcome::Failure, at(6))).await;
    let (first, last) = (schedule(&store, 6, at(1)).await, schedule(&store, 7, at(2)).await);
    change(&store, last, |it| attempted(it, Outcome::Success, at(20))).await;
    change(&store, first, |it| attempted(it, Outcome::Success, at(30))).await;
    let (failed, cancelled) = (schedule(&store, 8, at(3)).await, schedule(&store, 9, at(90)).await);
    change(&store, failed, |it| attempted(it, Outcome::PermanentFailure, at(4))).await;
    change(&store, cancelled, |it| it.cancel(at(8)).unwrap()).await;

    let live = ListFilter { listed: Listed::Live, ..ListFilter::ALL };
    let of = ListFilter::of;
    for (filter, expected) in [
        (of(Status::Scheduled), vec![next, later]),
        // Its time has come, or an attempt is under way, or the next one follows.
        (of(Status::InProgress), vec![waiting, late, claimed_early]),
        (of(Status::Completed), vec![first, last]),
        (of(Status::Failed), vec![failed]),
        (of(Status::Cancelled), vec![cancelled]),
        (live.clone(), vec![waiting, late, claimed_early, next, later]),
        (ListFilter { from: Some(at(50)), to: Some(at(61)), ..live.clone() }, vec![late, claimed_early]),
        (ListFilter { from: Some(at(62)), ..of(Status::Scheduled) }, vec![later]),
        (ListFilter { to: Some(at(50)), ..of(Status::InProgress) }, vec![waiting]),
        (ListFilter { from: Some(at(20)), to: Some(at(30)), ..of(Status::Completed) }, vec![last]),
        (ListFilter { from: Some(at(31)), ..of(Status::Completed) }, vec![]),
    ] {
        for limit in [1, 2, 50] {
            assert_eq!(pages(&store, &filter, at(60), limit).await.concat(), expected, "{filter:?} by {limit}");
        }
    }
    let everything = pages(&store, &ListFilter::ALL, at(60), 50).await.concat();
    assert_eq!(everything, (1..=9).rev().map(id).collect::<Vec<_>>());
}

/// The time of the first page separates the two lists on every page.
#[tokio::test]
async fn a_conversation_whose_time_comes_between_two_pages_is_not_lost() {
    let store = indexed_store(Arc::new(SimulatedTable::new(()))).await;
    let all: Vec<_> = {
        let mut all = Vec::new();
        for number in 0..20 {
            all.push(schedule(&store, number, NOW + Duration::from_mins(number.into())).await);
        }
        all
    };
    let scheduled = ListFilter::of(Status::Scheduled);
    let first = page(&store, &scheduled, NOW - HOUR, 5, None).await;
    // An hour later the others are due, and none of them has begun.
    let second = page(&store, &scheduled, NOW + HOUR, 50, first.next.clone()).await;
    assert_eq!([ids(&first), ids(&second)].concat(), all);
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Schedule,
    Claim,
    End(Outcome),
    Cancel,
    Redeliver,
    Release,
}

fn moves() -> impl Strategy<Value = Vec<(Move, u32, u64)>> {
    let outcome = prop_oneof![
        Just(Outcome::Success),
        Just(Outcome::Failure),
        Just(Outcome::PermanentFailure),
        Just(Outcome::Unknown)
    ];
    let next = prop_oneof![
        3 => Just(Move::Schedule),
        3 => Just(Move::Claim),
        4 => outcome.prop_map(Move::End),
        1 => Just(Move::Cancel),
        2 => Just(Move::Redeliver),
        1 => Just(Move::Release),
    ];
    prop::collection::vec((next, 0_u32..8, 0_u64..100_000), 1..60)
}

/// The next state, if the transition is allowed.
fn moved(conversation: Conversation, next: Move, now: Timestamp) -> Option<Conversation> {
    match next {
        Move::Schedule => None,
        Move::Claim => {
            conversation.claim(LeaseToken::new([2; 8]), now, Duration::from_secs(1)).ok().map(|claim| match claim {
                Claim::Attempt(claimed) => claimed.conversation().clone(),
                Claim::Lost(next) | Claim::Expired(next) => next,
            })
        }
        Move::End(outcome) => {
            let is_ready = conversation.in_flight().is_none() && conversation.next_wake_at().is_some();
            is_ready.then(|| attempted(conversation, outcome, now))
        }
        Move::Cancel => conversation.cancel(now).ok(),
        Move::Redeliver => conversation.redeliver(now).ok(),
        Move::Release => conversation.release(now).ok(),
    }
}

/// Runs the moves on a store, some of whose conversations an earlier release has written.
async fn index_follows(moves: Vec<(Move, u32, u64)>) -> Result<(), TestCaseError> {
    let (table, earlier) = (Arc::new(SimulatedTable::new(())), Arc::new(SimulatedTable::new(())));
    let before = ConversationStore::new(Arc::clone(&earlier) as _, sealer());
    for number in 0..3 {
        schedule(&before, number, NOW).await;
    }
    copy_as_earlier_release(&*earlier, &*table, 2, |value| value).await;
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let (mut now, mut changed) = (NOW, std::collections::BTreeMap::new());
    for (next, number, pause) in moves {
        now = now + Duration::from_millis(pause);
        let read = store.get(&client(), id(number)).await.unwrap();
        match (read, next) {
            (None, Move::Schedule) => {
                schedule(&store, number, now).await;
            }
            (Some(read), next) => {
                let Some(next) = moved(read.value, next, now) else { continue };
                store.replace(read.revision, &next).await.unwrap();
            }
            (None, _) => continue,
        }
        let read = store.get(&client(), id(number)).await.unwrap().unwrap();
        changed.insert(number, expected(&read.value));
        let mut wanted: Vec<_> = changed.values().cloned().collect();
        let mut found = index_keys(&*table).await;
        wanted.sort();
        found.sort();
        prop_assert_eq!(found, wanted);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_index_rows_are_the_projection_of_the_conversations_after_any_transitions(moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(index_follows(moves))?;
    }
}

/// A store as an earlier release left it: 250 conversations, some of them in each state, one with an attempt under way.
async fn earlier_store() -> (Arc<SimulatedTable>, ConversationStore) {
    let (table, earlier) = (Arc::new(SimulatedTable::new(())), Arc::new(SimulatedTable::new(())));
    let before = ConversationStore::new(Arc::clone(&earlier) as _, sealer());
    for number in 0..250 {
        let id = schedule(&before, number, NOW + Duration::from_mins(number.into())).await;
        match number % 4 {
            1 => change(&before, id, |it| it.cancel(NOW + Duration::from_secs(number.into())).unwrap()).await,
            2 => change(&before, id, |it| attempted(it, Outcome::Failure, NOW)).await,
            _ => {}
        }
    }
    change(&before, id(0), claimed).await;
    copy_as_earlier_release(&*earlier, &*table, 2, |value| value).await;
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    (table, store)
}

/// The ids of the lists of all statuses, each sorted.
async fn lists(store: &ConversationStore, now: Timestamp) -> Vec<Vec<ConversationId>> {
    let mut lists = Vec::new();
    for status in Status::ALL {
        let mut ids = pages(store, &ListFilter::of(status), now, 7).await.concat();
        ids.sort();
        lists.push(ids);
    }
    lists
}

#[tokio::test(start_paused = true)]
async fn conversations_of_an_earlier_release_are_listed_before_and_after_they_are_indexed() {
    let (table, store) = earlier_store().await;
    let now = NOW + HOUR;
    let before = lists(&store, now).await;
    assert_eq!(before.concat().len(), 250);
    let indexer = Indexer::new(store.clone(), Arc::new(VirtualClock::starting_at(NOW))).alone();
    indexer.begin().await;
    assert!(!store.is_indexed().await.unwrap(), "the store is not empty");
    assert_eq!(indexer.complete().await.unwrap(), 1, "the one with an attempt under way is left");
    assert_eq!(lists(&store, now).await, before, "while the index is not complete");
    assert_eq!(index_keys(&*table).await.len(), 249);
    change(&store, id(0), |it| it.release(NOW).unwrap()).await;
    assert_eq!(indexer.complete().await.unwrap(), 0);
    assert!(store.is_indexed().await.unwrap());
    assert_eq!(lists(&store, now).await, before, "from the index");
    let other = ConversationStore::new(table, sealer());
    assert!(other.is_indexed().await.unwrap(), "every process sees it");
}

#[tokio::test(start_paused = true)]
async fn a_shared_store_is_indexed_an_hour_after_the_first_process_of_this_release_came() {
    let (table, store) = earlier_store().await;
    change(&store, id(0), |it| it.release(NOW).unwrap()).await;
    let clock = Arc::new(VirtualClock::starting_at(NOW));
    let first = tokio::spawn(Indexer::new(store.clone(), Arc::clone(&clock) as _).run());
    tokio::time::sleep(Duration::from_mins(50)).await;
    assert!(!store.is_indexed().await.unwrap());
    assert_eq!(index_keys(&*table).await.len(), 1, "an earlier release can still work on the others");
    first.abort();
    // A process of the earlier release, which is still there, schedules one more.
    let earlier = Arc::new(SimulatedTable::new(()));
    schedule(&ConversationStore::new(Arc::clone(&earlier) as _, sealer()), 999, NOW + 2 * HOUR).await;
    copy_as_earlier_release(&*earlier, &*table, 2, |value| value).await;
    // Another process goes on from the time of the first one.
    let began = tokio::time::Instant::now();
    Indexer::new(store.clone(), clock).run().await;
    assert!(began.elapsed() < Duration::from_mins(11), "{:?}", began.elapsed());
    assert!(store.is_indexed().await.unwrap());
    assert_eq!(index_keys(&*table).await.len(), 251);
    assert!(lists(&store, NOW).await.concat().contains(&id(999)));
}

#[tokio::test]
async fn a_new_store_of_one_process_is_indexed_from_its_first_conversation_on() {
    let store = ConversationStore::new(Arc::new(SimulatedTable::new(())), sealer());
    let indexer = Indexer::new(store.clone(), Arc::new(VirtualClock::starting_at(NOW)));
    indexer.begin().await;
    assert!(!store.is_indexed().await.unwrap(), "another process may use it");
    indexer.alone().begin().await;
    assert!(store.is_indexed().await.unwrap());
}

#[tokio::test]
async fn a_repair_restores_the_index_rows_and_lets_the_next_start_look_for_earlier_conversations() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = indexed_store(Arc::clone(&table) as _).await;
    for number in 0..30 {
        let id = schedule(&store, number, NOW).await;
        if number % 2 == 0 {
            change(&store, id, |it| it.cancel(NOW).unwrap()).await;
        }
    }
    let right = index_keys(&*table).await;
    for (n, key) in right.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        let partition = ConversationStore::partition(key.rsplit('~').next().unwrap().parse().unwrap());
        let delete = Operation::Delete { key: key.clone(), if_match: None };
        // Another row has come back of a state before.
        let old = key.replace("~live~", "~Failed~").replace("~Cancelled~", "~live~");
        let insert = Operation::Insert { key: old, value: r#"{"v":1,"row":{}}"#.to_owned() };
        table.commit(partition, vec![delete, insert]).await.unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    let restored = store.restore_secondary_rows().await.unwrap();
    assert_eq!((restored.inserted, restored.deleted), (10, 10));
    assert_eq!(index_keys(&*table).await, right);
    assert!(!store.is_indexed().await.unwrap());
    assert!(!ConversationStore::new(table, sealer()).is_indexed().await.unwrap());
}
