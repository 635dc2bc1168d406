//! Many conversations that are read with one request, on every backend.

use std::sync::Arc;

use mcp_scheduler::domain::{ClientId, ConversationId};
use mcp_scheduler::store::{ConversationStore, DueKey, Table};
use mcp_scheduler::testing::sealer;

use crate::support::listing::{NOW, client, due_at};

pub async fn conversations_that_lie_together_are_read_as_each_is_read_alone(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let others: ClientId = "anna".parse().unwrap();
    // Two clients have conversations with the same ids, and a third client has too few that are due.
    let few: ClientId = "bob".parse().unwrap();
    let mut due = Vec::new();
    for number in 0..20 {
        for (partition, of) in [(7, client()), (9, client()), (7, others.clone()), (7, few.clone())] {
            let id = ConversationId::new(NOW, &[0, 0, 0, 0, 0, 0, 0, 0, number, partition]);
            let text = "Stand up and stretch".repeat(1 + usize::from(number) * 20);
            store.insert(&due_at(id, of.clone(), NOW, text)).await.unwrap();
            if of != few || number % 4 == 0 {
                due.push(DueKey { at: NOW, client: of, id });
            }
        }
    }
    let read = store.read_together(due.clone()).await;
    assert_eq!(read.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), due);
    for (key, read) in read {
        let alone = store.get(&key.client, key.id).await.unwrap().unwrap();
        match read {
            Some(together) => assert_eq!((together.value, together.revision), (alone.value, alone.revision)),
            None => assert_eq!(key.client, few),
        }
    }
}
