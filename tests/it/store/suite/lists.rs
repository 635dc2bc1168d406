//! Lists from index rows on every backend: they are pages of ranges and point reads while others write.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::{Outcome, Pending, Status};
use mcp_scheduler::store::{ConversationStore, IndexMark, ListFilter, ListRows, Listed, Table};
use mcp_scheduler::testing::sealer;

use crate::support::listing::{NOW, attempted, change, claimed, client, due_at, id, page, pages, schedule};

const MINUTE: Duration = Duration::from_mins(1);

async fn indexed(table: &Arc<dyn Table>) -> ConversationStore {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    assert!(!store.is_indexed().await.unwrap());
    store.write_index_mark(None, IndexMark::Complete).await.unwrap();
    assert!(ConversationStore::new(Arc::clone(table), sealer()).is_indexed().await.unwrap());
    store
}

pub async fn lists_come_in_the_order_of_due_times_and_of_ends(table: &Arc<dyn Table>) {
    let store = indexed(table).await;
    let at = |number: u32| NOW + MINUTE * number;
    let mut all = Vec::new();
    for number in 0..20 {
        // Ids and times have different orders.
        all.push((at(number * 7 % 20), schedule(&store, number, at(number * 7 % 20)).await));
    }
    all.sort();
    let expected: Vec<_> = all.iter().map(|(_, id)| *id).collect();
    let live = ListFilter { listed: Listed::Live, ..ListFilter::ALL };
    for (now, status, part) in [(at(7), Status::InProgress, &expected[..8]), (at(7), Status::Scheduled, &expected[8..])]
    {
        for limit in [3, 100] {
            assert_eq!(pages(&store, &ListFilter::of(status), now, limit).await.concat(), part, "{status}");
        }
    }
    assert_eq!(pages(&store, &live, NOW, 6).await.concat(), expected);
    let some = ListFilter { from: Some(at(3)), to: Some(at(9)), ..live.clone() };
    assert_eq!(pages(&store, &some, NOW, 4).await.concat(), expected[3..9]);
    for (end, id) in &all {
        change(&store, *id, |it| attempted(it, Outcome::Success, *end + MINUTE)).await;
    }
    let latest_first: Vec<_> = expected.into_iter().rev().collect();
    let completed = ListFilter::of(Status::Completed);
    assert_eq!(pages(&store, &completed, NOW, 6).await.concat(), latest_first);
    let some = ListFilter { from: Some(at(3)), to: Some(at(9)), ..completed };
    assert_eq!(pages(&store, &some, NOW, 4).await.concat(), latest_first[12..18]);
    assert!(pages(&store, &live, NOW, 6).await.concat().is_empty());
}

pub async fn conversations_that_have_not_ended_are_counted(table: &Arc<dyn Table>) {
    let store = indexed(table).await;
    let (mine, other) = (client(), "anna".parse().unwrap());
    for number in 0..40 {
        let text = "x".repeat(if number == 7 { 5_000 } else { 10 });
        store.insert(&due_at(id(number), client(), NOW + MINUTE, text)).await.unwrap();
    }
    change(&store, id(0), claimed).await;
    change(&store, id(1), |it| it.cancel(NOW).unwrap()).await;
    change(&store, id(2), |it| attempted(it, Outcome::Success, NOW + MINUTE)).await;
    let count =
        async |client, conversations, bytes| store.count_live(client, Pending { conversations, bytes }).await.unwrap();
    let all = Pending { conversations: 38, bytes: 5_000 + 37 * 10 };
    assert_eq!(count(&mine, 1_000, usize::MAX).await, all);
    assert_eq!(count(&mine, usize::MAX, 10_000).await, all);
    assert_eq!(count(&other, 1_000, 10_000).await, Pending::default());
    // Each partition has two or three, so a count in small scans goes on and stops.
    assert!((20..=38).contains(&count(&mine, 20, usize::MAX).await.conversations));
    assert!((1..=16).contains(&count(&mine, 1, usize::MAX).await.conversations));
    assert_eq!(count(&mine, 1, 6_000).await, all, "both limits have to be reached");
}

pub async fn pages_lose_and_double_no_conversation_while_others_come_and_go(table: &Arc<dyn Table>) {
    let store = indexed(table).await;
    let due = |number: u32| NOW + MINUTE * (number % 10) + MINUTE;
    let mut untouched = HashSet::new();
    for number in 0..60 {
        let id = schedule(&store, number, due(number)).await;
        if number % 2 == 0 {
            untouched.insert(id);
        }
    }
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..30 {
                change(&store, id(number * 2 + 1), |it| it.cancel(NOW).unwrap()).await;
                schedule(&store, 100 + number, due(number)).await;
            }
        })
    };
    let (mut seen, mut place, scheduled) = (Vec::new(), None, ListFilter::of(Status::Scheduled));
    loop {
        let page = page(&store, &scheduled, NOW, 4, place).await;
        assert!(page.next.as_ref().is_none_or(|next| next.rows == ListRows::Index));
        assert!(page.conversations.iter().all(|it| it.status() == Status::Scheduled));
        seen.extend(page.conversations.iter().map(mcp_scheduler::domain::Conversation::id));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    writer.await.unwrap();
    let distinct: HashSet<_> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "a conversation is doubled");
    assert!(untouched.is_subset(&distinct), "a conversation is lost");
}
