//! The encrypted parts of rows: who can open them, which key they have, and rows of earlier releases without them.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    Claim, Conversation, ConversationId, EndpointPolicy, LeaseToken, Secret, Status, Timestamp, WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, KeyRange, Operation, Row, StoreError, Table, Versioned};
use mcp_scheduler::testing::{ENCRYPTION_KEY, SimulatedTable, as_version_1, sealer, sealer_with_keys};

const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

/// The same conversation with a payload in the main row, or in a row of its own.
fn conversation(number: u8, is_large: bool) -> WholeConversation {
    let request = ScheduleRequest {
        conversation_text: Some("visible".repeat(if is_large { 1000 } else { 1 })),
        scheduled_time: Some(NOW.to_string()),
        endpoint: Some("https://example.com/canary?a=canary".to_owned()),
        headers: Some([("authorization".to_owned(), Secret::new("Bearer canary".to_owned()))].into()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    WholeConversation::new(ConversationId::new(NOW, &[number; 10]), "ann".parse().unwrap(), new, NOW)
}

/// The main row, and the payload row if there is one.
async fn rows(table: &dyn Table, of: &WholeConversation) -> Vec<Row> {
    let partition = ConversationStore::partition(of.conversation.id());
    let mut rows = table.scan(partition, &KeyRange::prefix("m~"), 10).await.unwrap();
    rows.extend(table.scan(partition, &KeyRange::prefix("p~"), 10).await.unwrap());
    rows
}

async fn write(table: &dyn Table, of: &WholeConversation, key: &str, value: String) {
    let replace = Operation::Replace { key: key.to_owned(), value, if_match: None };
    table.commit(ConversationStore::partition(of.conversation.id()), vec![replace]).await.unwrap();
}

async fn read(store: &ConversationStore, of: &WholeConversation) -> Result<Versioned<Conversation>, StoreError> {
    store.get(of.conversation.client(), of.conversation.id()).await.map(Option::unwrap)
}

/// The encrypted part of a row.
fn sealed(row: &Row) -> String {
    let value: serde_json::Value = serde_json::from_str(&row.value).unwrap();
    value["row"]["sealed"].as_str().unwrap().to_owned()
}

fn is_undecryptable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Undecryptable { .. }))
}

#[tokio::test]
async fn a_conversation_of_an_earlier_release_is_read_and_encrypted_with_its_next_change() {
    for is_large in [false, true] {
        let table = Arc::new(SimulatedTable::new(()));
        let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
        let whole = conversation(7, is_large);
        store.insert(&whole).await.unwrap();
        for row in rows(&*table, &whole).await {
            assert!(!row.value.contains("canary"), "{row:?}");
            let plain = as_version_1(&row, 4).unwrap();
            assert!(plain.contains("canary") && !plain.contains("sealed"), "{plain}");
            write(&*table, &whole, &row.key, plain).await;
        }
        let before = read(&store, &whole).await.unwrap();
        assert_eq!(before.value, whole.conversation);
        assert_eq!(store.payload(&before).await.unwrap(), whole.payload);

        store.replace(before.revision, &before.value.cancel(NOW).unwrap()).await.unwrap();
        let now = rows(&*table, &whole).await;
        assert_eq!(now.len(), if is_large { 2 } else { 1 });
        assert!(now.iter().all(|row| row.value.contains("sealed") && !row.value.contains("canary")), "{now:?}");
        let after = read(&store, &whole).await.unwrap();
        assert_eq!(after.value.status(), Status::Cancelled);
        assert_eq!(after.value.destination(), whole.conversation.destination());
        assert_eq!(store.payload(&after).await.unwrap(), whole.payload);
    }
}

#[tokio::test]
async fn a_claim_writes_the_encrypted_part_as_it_was_read_and_with_a_new_key_anew() {
    for is_large in [false, true] {
        let (table, (keys, sealer)) = (Arc::new(SimulatedTable::new(())), sealer_with_keys());
        let store = ConversationStore::new(Arc::clone(&table) as _, Arc::clone(&sealer));
        let whole = conversation(7, is_large);
        store.insert(&whole).await.unwrap();
        let inserted: Vec<_> = rows(&*table, &whole).await.iter().map(sealed).collect();
        let before = read(&store, &whole).await.unwrap();
        let claim = before.value.claim(LeaseToken::new([1; 8]), NOW, Duration::ZERO).unwrap();
        let Claim::Attempt(claimed) = claim else { panic!("it is the first attempt") };
        let revision = store.replace(before.revision, claimed.conversation()).await.unwrap();
        assert_eq!(rows(&*table, &whole).await.iter().map(sealed).collect::<Vec<_>>(), inserted);

        let new_key = format!("new:{}", "11".repeat(32));
        keys.send_replace(format!("{new_key},{ENCRYPTION_KEY}").parse().unwrap());
        let result = mcp_scheduler::domain::AttemptResult::unknown(1);
        store.replace(revision, &claimed.complete(NOW, result, Duration::ZERO, NOW)).await.unwrap();
        let rewritten = rows(&*table, &whole).await;
        assert!(rewritten.iter().all(|row| sealed(row).starts_with("new.")), "{rewritten:?}");
        // The old key is not needed any more.
        keys.send_replace(new_key.parse().unwrap());
        let after = read(&store, &whole).await.unwrap();
        assert_eq!(store.payload(&after).await.unwrap(), whole.payload);
    }
}

#[tokio::test]
async fn another_endpoint_is_encrypted_although_the_payload_stays() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let whole = conversation(7, false);
    store.insert(&whole).await.unwrap();
    let before = read(&store, &whole).await.unwrap();
    let request = ScheduleRequest {
        conversation_text: Some("visible".to_owned()),
        scheduled_time: Some(NOW.to_string()),
        endpoint: Some("https://other.example/canary".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    let (client, id) = (whole.conversation.client().clone(), whole.conversation.id());
    let moved = WholeConversation::new(id, client, new, NOW).conversation;
    store.replace(before.revision, &moved).await.unwrap();
    let after = read(&store, &whole).await.unwrap();
    assert_eq!(after.value.destination(), moved.destination());
    assert_eq!(store.payload(&after).await.unwrap().headers, whole.payload.headers);
}

#[tokio::test]
async fn an_encrypted_part_does_not_open_in_another_conversation() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let (one, other) = (conversation(7, true), conversation(8, true));
    store.insert(&one).await.unwrap();
    store.insert(&other).await.unwrap();
    let revision = read(&store, &other).await.unwrap();
    let (from, to) = (rows(&*table, &one).await, rows(&*table, &other).await);
    assert_eq!((from.len(), to.len()), (2, 2));
    for (from, to) in from.iter().zip(&to) {
        write(&*table, &other, &to.key, to.value.replace(&sealed(to), &sealed(from))).await;
    }
    assert!(is_undecryptable(&read(&store, &other).await));
    assert!(is_undecryptable(&store.payload(&revision).await));
    // Nor in the other row of the same conversation.
    write(&*table, &other, &to[0].key, to[0].value.replace(&sealed(&to[0]), &sealed(&to[1]))).await;
    assert!(is_undecryptable(&read(&store, &other).await));
}

#[tokio::test]
async fn a_final_conversation_is_removed_without_its_key() {
    for is_large in [false, true] {
        let (table, (keys, sealer)) = (Arc::new(SimulatedTable::new(())), sealer_with_keys());
        let store = ConversationStore::new(Arc::clone(&table) as _, Arc::clone(&sealer));
        let whole = conversation(7, is_large);
        store.insert(&whole).await.unwrap();
        let before = read(&store, &whole).await.unwrap();
        store.replace(before.revision, &before.value.cancel(NOW).unwrap()).await.unwrap();
        keys.send_replace(format!("new:{}", "11".repeat(32)).parse().unwrap());
        assert!(is_undecryptable(&read(&store, &whole).await));
        let partition = ConversationStore::partition(whole.conversation.id());
        store.remove_ended(partition, NOW + Duration::from_secs(1), None).await.unwrap();
        assert_eq!(table.scan(partition, &KeyRange::prefix(""), 10).await.unwrap(), []);
    }
}
