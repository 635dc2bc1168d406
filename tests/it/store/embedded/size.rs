//! The size of the directory while many conversations are scheduled, cancelled and removed. It takes minutes:
//! `CONVERSATIONS=1000000 cargo test --profile hold --test it -- --ignored --nocapture embedded::size`

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use mcp_scheduler::domain::ConversationId;
use mcp_scheduler::store::{ConversationStore, EmbeddedStore};
use mcp_scheduler::testing::sealer;
use tempfile::TempDir;

use crate::support::listing::{NOW, client, due_at};

const AT_ONCE: usize = 1000;

fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|it| if it.file_type().unwrap().is_dir() { size(&it.path()) } else { it.metadata().unwrap().len() })
        .sum()
}

fn id(number: u32) -> ConversationId {
    let [a, b, c, d] = number.to_be_bytes();
    ConversationId::new(NOW, &[0, 0, 0, 0, 0, a, b, c, d, d])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn the_directory_shrinks_again_when_conversations_are_removed() {
    #[allow(clippy::disallowed_methods)] // chosen by whoever runs this test
    let chosen = std::env::var("CONVERSATIONS");
    let conversations = chosen.map_or(200_000, |number| number.parse().unwrap());
    let dir = TempDir::new().unwrap();
    let embedded = EmbeddedStore::open(dir.path()).unwrap();
    let store = ConversationStore::new(embedded.conversations(), sealer());
    let began = Instant::now();
    let note = |what: &str| {
        let size = size(dir.path());
        println!("{what}: {} MB after {:.0?}", size / 1_000_000, began.elapsed());
        size
    };
    note("empty");
    stream::iter(0..conversations)
        .for_each_concurrent(AT_ONCE, |number| {
            let (store, new) = (&store, due_at(id(number), client(), NOW, "Stand up and stretch".to_owned()));
            async move { store.insert(&new).await.unwrap() }
        })
        .await;
    note("scheduled");
    stream::iter(0..conversations)
        .for_each_concurrent(AT_ONCE, |number| {
            let store = &store;
            async move {
                let read = store.get(&client(), id(number)).await.unwrap().unwrap();
                store.replace(read.revision, &read.value.cancel(NOW).unwrap()).await.unwrap();
            }
        })
        .await;
    let before = note("cancelled");
    let removing = ConversationStore::partitions().map(|partition| {
        let store = &store;
        async move {
            let mut behind = None;
            let before = NOW + Duration::from_millis(1);
            while let Some(last) = store.remove_ended(partition, before, behind.as_deref()).await.unwrap() {
                behind = Some(last);
            }
        }
    });
    stream::iter(removing).buffer_unordered(4).collect::<()>().await;
    assert!(store.is_empty().await.unwrap());
    note("removed");
    // The compaction begins when the store was quiet for ten seconds.
    tokio::time::sleep(Duration::from_secs(40)).await;
    note("left alone");
    embedded.close();
    let after = note("closed");
    assert!(after < before / 2, "{after} of {before} bytes are left");
}
