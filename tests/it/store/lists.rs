//! What a list reads: bounded in rows and bytes, off the async workers, and a few lists at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::delivery::NextDue;
use mcp_scheduler::domain::{ConversationId, EndpointPolicy, Status, Timestamp};
use mcp_scheduler::scheduler::{ListFilter, ListQuery, Scheduler};
use mcp_scheduler::store::{ConversationStore, ListPlace, ListRows};
use mcp_scheduler::testing::{Faults, SimulatedTable, sealer};
use mcp_scheduler::time::{SystemEntropy, VirtualClock};

use tokio::time::Instant;

use crate::support::counting_table::CountingTable;
use crate::support::listing::{NOW, client, copy_as_earlier_release, due_at, ids, page, pages};

/// The lists are read before the conversations are due.
const BEFORE: Timestamp = Timestamp::from_millis(NOW.as_millis() - 1);
const FAILED: ListFilter = ListFilter::of(Status::Failed);
const LARGE: usize = 190_000;
const MIB: usize = 1 << 20;

/// Some bytes of each number, so that ids are spread over the partitions.
fn scattered(number: u32) -> [u8; 4] {
    number.wrapping_mul(2_654_435_761).to_be_bytes()
}

/// A table with this many conversations of the same size, and their ids with the newest first.
async fn filled(count: u32, bytes: usize) -> (Arc<CountingTable>, ConversationStore, Vec<ConversationId>) {
    let table = Arc::new(CountingTable::new());
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let mut ids = Vec::new();
    for number in 0..count {
        let id = ConversationId::new(NOW + Duration::from_millis(number.into()), &[scattered(number)[0]; 10]);
        store.insert(&due_at(id, client(), NOW, "x".repeat(bytes))).await.unwrap();
        ids.push(id);
    }
    ids.reverse();
    table.take();
    (table, store, ids)
}

#[tokio::test(start_paused = true)]
async fn a_list_of_large_conversations_reads_no_payload() {
    let (table, store, all) = filled(300, LARGE).await;
    let first = page(&store, &ListFilter::ALL, BEFORE, 100, None).await;
    assert_eq!(ids(&first), all[..100]);
    let read = table.take();
    assert!(read.bytes < 200_000, "a page of 100 with {LARGE} bytes each reads {} bytes", read.bytes);
    assert!(read.keys.is_empty(), "{:?}", read.keys);
    let none = page(&store, &FAILED, BEFORE, 1, None).await;
    assert!(none.conversations.is_empty() && none.next.is_none());
    let read = table.take();
    assert!(read.bytes < 400_000, "a page without a match reads {} bytes", read.bytes);
}

#[tokio::test(start_paused = true)]
async fn a_page_reads_little_more_than_it_shows() {
    let (table, store, all) = filled(1_000, 10).await;
    for (limit, most) in [(1, 32), (10, 16 * 8), (100, 100 + 16 * 8)] {
        let place = ListPlace { rows: ListRows::Main, now: BEFORE, after: Some(all[99].inverted()) };
        let page = page(&store, &ListFilter::ALL, BEFORE, limit, Some(place)).await;
        assert_eq!(ids(&page), all[100..100 + limit]);
        let read = table.take().rows;
        assert!(read <= most, "a page of {limit} reads {read} rows");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_page_says_that_it_is_the_last() {
    let (_, store, all) = filled(40, 10).await;
    for limit in [1, 5, 8, 40, 41, 100] {
        let pages = pages(&store, &ListFilter::ALL, BEFORE, limit).await;
        assert_eq!(pages.concat(), all, "by {limit}");
        assert_eq!(pages.len(), all.len().div_ceil(limit), "by {limit}: no page is empty");
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_matches_nothing_examines_a_bounded_number_of_rows_and_can_be_continued() {
    let (table, store, all) = filled(10_000, 10).await;
    // The oldest is the only match.
    let read = store.get(&client(), all[9_999]).await.unwrap().unwrap();
    store.replace(read.revision, &read.value.cancel(NOW).unwrap()).await.unwrap();
    table.take();
    let (mut found, mut place, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = page(&store, &ListFilter::of(Status::Cancelled), BEFORE, 1, place.clone()).await;
        let read = table.take().rows;
        assert!(read <= 4_000 + 16 * 8, "a page reads {read} rows");
        assert!(page.next != place, "a page makes progress");
        found.extend(ids(&page));
        pages += 1;
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(found, all[9_999..]);
    assert!((3..=20).contains(&pages), "{pages} pages");
}

/// A table that is far away.
struct Slow;

impl Faults for Slow {
    fn latency(&self) -> Duration {
        Duration::from_millis(100)
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_a_second_ends_and_can_be_continued() {
    let store = ConversationStore::new(Arc::new(SimulatedTable::new(Slow)), sealer());
    for number in 0..2_000 {
        let id = ConversationId::new(NOW + Duration::from_millis(number.into()), &[scattered(number)[0]; 10]);
        store.insert(&due_at(id, client(), NOW, "x".to_owned())).await.unwrap();
    }
    let began = Instant::now();
    let page = page(&store, &FAILED, BEFORE, 1, None).await;
    let took = began.elapsed();
    assert!(took <= Duration::from_millis(1_150), "{took:?}");
    assert!(page.conversations.is_empty() && page.next.is_some());
}

/// Writes the main rows as the first release did: with the payload inside.
async fn filled_by_first_release(count: u32) -> (Arc<CountingTable>, ConversationStore, Vec<ConversationId>) {
    let (small, _, all) = filled(count, 10).await;
    let table = Arc::new(CountingTable::new());
    copy_as_earlier_release(&*small, &*table, 1, |value| value.replace("xxxxxxxxxx", &"x".repeat(LARGE))).await;
    table.take();
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    (table, store, all)
}

#[tokio::test(start_paused = true)]
async fn large_rows_of_the_first_release_make_short_pages() {
    let (table, store, all) = filled_by_first_release(300).await;
    for filter in [ListFilter::ALL, ListFilter::of(Status::Scheduled)] {
        let (mut seen, mut place) = (Vec::new(), None);
        loop {
            let page = page(&store, &filter, BEFORE, 100, place).await;
            let read = table.take().bytes;
            assert!(read < 8 * MIB + 16 * 8 * (LARGE + 1_000), "a page reads {} MiB", read / MIB);
            assert!(page.conversations.len() < 100 || page.next.is_none(), "a page of 19 MB is too long");
            seen.extend(ids(&page));
            place = page.next;
            if place.is_none() {
                break;
            }
        }
        assert_eq!(seen, all, "{filter:?}");
    }
}

fn scheduler(table: &Arc<CountingTable>) -> Scheduler {
    let clock = Arc::new(VirtualClock::starting_at(NOW));
    Scheduler::new(
        ConversationStore::new(Arc::clone(table) as _, sealer()),
        Arc::new(NextDue::default()),
        EndpointPolicy::default(),
        clock,
        Arc::new(SystemEntropy::new()),
    )
}

const FIRST_PAGE: ListQuery = ListQuery { filter: ListFilter::ALL, limit: 10, cursor: None };

/// The test has one thread, so a list that blocked it would stop the ticks.
#[tokio::test]
async fn a_list_that_waits_for_the_disk_delays_no_other_request() {
    let table = Arc::new(CountingTable::with_slow_scans(Duration::from_millis(20)));
    let (scheduler, mut ticks) = (scheduler(&table), 0_u32);
    let (client, list_is_over) = (client(), tokio_util::sync::CancellationToken::new());
    let list = async {
        scheduler.list(&client, FIRST_PAGE).await.unwrap();
        list_is_over.cancel();
    };
    let tick = async {
        while !list_is_over.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks += 1;
        }
    };
    tokio::join!(list, tick);
    assert!(ticks > 20, "{ticks} ticks in 320 ms");
}

#[tokio::test]
async fn a_client_has_two_lists_read_at_a_time_even_if_it_does_not_wait_for_them() {
    let table = Arc::new(CountingTable::with_slow_scans(Duration::from_millis(5)));
    let scheduler = scheduler(&table);
    let abandoned: Vec<_> = (0..4)
        .map(|_| {
            let scheduler = scheduler.clone();
            tokio::spawn(async move { scheduler.list(&client(), FIRST_PAGE).await.map(drop) })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    abandoned.iter().for_each(tokio::task::JoinHandle::abort);
    let client = client();
    let lists = (0..4).map(|_| scheduler.list(&client, FIRST_PAGE));
    futures_util::future::try_join_all(lists).await.unwrap();
    assert_eq!(table.most_scans(), 2, "the permit of an abandoned list ends with its last scan");
}

#[tokio::test(start_paused = true)]
async fn the_partitions_are_merged_in_the_order_of_the_ids() {
    // A third of the conversations is in one partition.
    let store = ConversationStore::new(Arc::new(SimulatedTable::new(())), sealer());
    let mut all = BTreeSet::new();
    for number in 0..500_u32 {
        let [first, second, ..] = scattered(number);
        let last = if number % 3 == 0 { 3 } else { second };
        let id = ConversationId::new(NOW, &[first, second, 0, 0, 0, 0, 0, 0, 0, last]);
        if all.insert(id) {
            store.insert(&due_at(id, client(), NOW, "x".to_owned())).await.unwrap();
        }
    }
    let expected: Vec<_> = all.into_iter().rev().collect();
    let seen = pages(&store, &ListFilter::ALL, BEFORE, 7).await.concat();
    assert_eq!(seen, expected);
}
