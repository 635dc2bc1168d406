//! Export and import on the ports: what is in a line, and what a second store has afterwards.

mod torn;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::backup::{Backup, BackupError, ExportPage, ImportReport};
use mcp_scheduler::delivery::NextDue;
use mcp_scheduler::domain::{
    Claim, ConversationId, ConversationName, EndpointPolicy, IdempotentRequest, LeaseToken, Named, Scopes, Secret,
    Sha256, Timestamp, WholeConversation,
};
use mcp_scheduler::json::RawJson;
use mcp_scheduler::store::{
    Client, ClientStore, ConversationStore, EncryptionKeys, Flaw, KeyRange, Operation, Partition, Row, Sealer, Table,
};
use mcp_scheduler::testing::{SimulatedTable, as_version_1, conversation_in, sealer};
use serde_json::Value;

const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);
const SECRET: &str = "canary";
/// JSON with line feeds, which a receiver gets as it is.
const INFO: &str = "{\n  \"b\": 1.0,\r\n  \"a\": \"x\"\n}";
const CLIENTS: Partition = Partition::new("clients");

struct Place {
    table: Arc<SimulatedTable>,
    store: ConversationStore,
    clients: ClientStore,
    backup: Backup,
}

impl Place {
    fn new() -> Self {
        Self::with_keys(sealer())
    }

    fn with_keys(sealer: Arc<Sealer>) -> Self {
        let table = Arc::new(SimulatedTable::new(()));
        let store = ConversationStore::new(Arc::clone(&table) as _, sealer);
        let clients = ClientStore::new(Arc::clone(&table) as _);
        let backup = Backup::new(store.clone(), clients.clone(), Arc::new(NextDue::default()));
        Self { table, store, clients, backup }
    }

    async fn rows(&self) -> BTreeMap<(Partition, String), Row> {
        let mut rows = BTreeMap::new();
        for partition in ConversationStore::partitions().chain([CLIENTS]) {
            let page = self.table.scan(partition, &KeyRange::prefix(""), 1000).await.unwrap();
            rows.extend(page.into_iter().map(|row| ((partition, row.key.clone()), row)));
        }
        rows
    }

    async fn keys(&self, prefix: &str) -> Vec<(Partition, String)> {
        self.rows().await.into_keys().filter(|(_, key)| key.starts_with(prefix)).collect()
    }

    async fn commit(&self, partition: Partition, operation: Operation) {
        self.table.commit(partition, vec![operation]).await.unwrap();
    }

    async fn export(&self, reveal: bool) -> Vec<String> {
        let (mut lines, mut cursor) = (Vec::new(), None);
        loop {
            let page: ExportPage = self.backup.export(cursor.as_deref(), reveal).await.unwrap();
            assert_eq!(page.unreadable, [""; 0]);
            lines.extend(page.lines);
            cursor = page.next;
            if cursor.is_none() {
                return lines;
            }
        }
    }

    async fn flaws(&self) -> Vec<Flaw> {
        self.backup.verify().await.unwrap().flaws
    }
}

fn conversation_at(id: ConversationId, text: &str) -> WholeConversation {
    conversation_to("https://example.com/canary?a=canary", id, text)
}

fn conversation_to(endpoint: &str, id: ConversationId, text: &str) -> WholeConversation {
    let request = ScheduleRequest {
        conversation_text: Some(text.to_owned()),
        scheduled_time: Some(NOW.to_string()),
        endpoint: Some(endpoint.to_owned()),
        headers: Some([("authorization".to_owned(), Secret::new("Bearer canary".to_owned()))].into()),
        additional_info: Some(serde_json::from_str::<RawJson>(INFO).unwrap()),
        body: Some(serde_json::from_str::<RawJson>("{\"key\":\n\"canary\"}").unwrap()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    WholeConversation::new(id, "ann".parse().unwrap(), new, NOW)
}

fn id(number: u8) -> ConversationId {
    ConversationId::new(NOW + Duration::from_millis(number.into()), &[number; 10])
}

fn small(number: u8) -> WholeConversation {
    conversation_at(id(number), "visible")
}

/// A conversation whose payload has a row of its own.
fn large(number: u8) -> WholeConversation {
    conversation_at(id(number), &"visible".repeat(1000))
}

fn name() -> ConversationName {
    "report".parse().unwrap()
}

fn named(number: u8) -> WholeConversation {
    let id = id(number).in_partition(ConversationStore::name_partition(&name()));
    conversation_at(id, "visible").named(Named { name: name(), definition: None })
}

fn request() -> IdempotentRequest {
    IdempotentRequest { key: Sha256::new([5; 32]), fingerprint: Sha256::new([6; 32]) }
}

/// A store with a row of each kind. The younger of the two conversations with one name has the name.
async fn filled() -> Place {
    let place = Place::new();
    let (store, ann) = (&place.store, "ann".parse().unwrap());
    place.clients.insert(&Client::without_keys("ann".parse().unwrap(), Scopes::all())).await.unwrap();
    for new in [small(1), large(2), small(3), large(4)] {
        store.insert(&new).await.unwrap();
    }
    // One has ended, and one has an attempt under way.
    let read = store.get(&ann, id(3)).await.unwrap().unwrap();
    store.replace(read.revision, &read.value.cancel(NOW).unwrap()).await.unwrap();
    let read = store.get(&ann, id(4)).await.unwrap().unwrap();
    let claim = read.value.claim(LeaseToken::new([1; 8]), NOW, Duration::ZERO).unwrap();
    let Claim::Attempt(claimed) = claim else { panic!("it is the first attempt") };
    store.replace(read.revision, claimed.conversation()).await.unwrap();
    store.insert_named(&named(10), &name(), None).await.unwrap();
    let holder = store.name_holder(&ann, &name()).await.unwrap();
    store.insert_named(&named(11), &name(), holder).await.unwrap();
    let keyed = conversation_at(id(12).in_partition(request().key.partition()), "visible");
    store.insert_once(&keyed, &request()).await.unwrap();
    place
}

/// Asserts that a store has the rows of the other one, with the same in them.
async fn assert_same(place: &Place, of: &Place) {
    let (rows, expected) = (place.rows().await, of.rows().await);
    assert_eq!(rows.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (at, row) in &rows {
        let other = &expected[at];
        if !row.key.starts_with("m~") && !row.key.starts_with("p~") {
            assert_eq!(row.value, other.value);
            continue;
        }
        let (this, other) = (as_version_1(row, 4).unwrap(), as_version_1(other, 4).unwrap());
        assert_eq!(this, other);
        if row.key.starts_with("m~") {
            let conversation = conversation_in(row).unwrap();
            let payload = async |of: &Place| {
                let read = of.store.get(conversation.client(), conversation.id()).await.unwrap().unwrap();
                of.store.payload(&read).await.unwrap()
            };
            let (payload, expected) = (payload(place).await, payload(of).await);
            assert_eq!(payload, expected);
            assert_eq!(payload.info.unwrap().as_str(), INFO, "line feeds of a client stay");
        }
    }
    assert_eq!(place.flaws().await, []);
}

const ALL: ImportReport = ImportReport { clients: 1, conversations: 7, keys: 1, skipped: 0 };

#[tokio::test]
async fn another_store_has_every_row_after_an_import_and_the_same_import_again_adds_nothing() {
    let from = filled().await;
    for reveal in [false, true] {
        let lines = from.export(reveal).await;
        assert!(lines.iter().all(|line| !line.contains('\n')));
        assert_eq!(lines.concat().contains(SECRET), reveal, "{lines:#?}");
        let to = Place::new();
        assert_eq!(to.backup.import(&lines).await.unwrap(), ALL);
        assert_same(&to, &from).await;
        assert!(to.rows().await.values().all(|row| !row.value.contains(SECRET)), "it is encrypted again");
        let again = to.backup.import(&lines).await.unwrap();
        assert_eq!(again, ImportReport { skipped: lines.len(), ..ImportReport::default() });
        assert_same(&to, &from).await;
        // Also in another order, and one by one.
        let to = Place::new();
        for line in lines.iter().filter(|line| !line.contains("idempotencyKey")).rev() {
            to.backup.import(std::slice::from_ref(line)).await.unwrap();
        }
        to.backup.import(&lines).await.unwrap();
        assert_same(&to, &from).await;
    }
}

#[tokio::test]
async fn what_exists_is_left_as_it_is() {
    let (from, to) = (filled().await, Place::new());
    let lines = from.export(false).await;
    to.backup.import(&lines).await.unwrap();
    let ann = "ann".parse().unwrap();
    let read = to.store.get(&ann, id(1)).await.unwrap().unwrap();
    to.store.replace(read.revision, &read.value.cancel(NOW).unwrap()).await.unwrap();
    let before = to.rows().await;
    to.backup.import(&lines).await.unwrap();
    assert_eq!(to.rows().await, before);
}

#[tokio::test]
async fn a_key_is_imported_only_with_its_conversation() {
    let (from, to) = (filled().await, Place::new());
    let lines = from.export(false).await;
    let key: Vec<_> = lines.iter().filter(|line| line.contains("idempotencyKey")).cloned().collect();
    assert_eq!(to.backup.import(&key).await.unwrap(), ImportReport { skipped: 1, ..ImportReport::default() });
    assert!(to.rows().await.is_empty());
}

#[tokio::test]
async fn a_name_that_moved_during_the_export_leads_to_the_newer_conversation() {
    let (from, ann) = (Place::new(), "ann".parse().unwrap());
    from.store.insert_named(&named(10), &name(), None).await.unwrap();
    let older = from.export(false).await;
    let holder = from.store.name_holder(&ann, &name()).await.unwrap();
    from.store.insert_named(&named(11), &name(), holder).await.unwrap();
    let newer: Vec<_> = from.export(false).await.into_iter().filter(|line| line.contains("holdsName")).collect();
    assert_eq!((older.len(), newer.len()), (1, 1));
    for lines in [[older.clone(), newer.clone()], [newer, older]] {
        let to = Place::new();
        for line in lines {
            assert_eq!(to.backup.import(&line).await.unwrap().conversations, 1);
        }
        let holder = to.store.name_holder(&ann, &name()).await.unwrap().unwrap();
        assert_eq!(holder.id, named(11).conversation.id());
        assert_eq!(to.flaws().await, []);
    }
}

#[tokio::test]
async fn pages_are_bounded_and_have_every_line_once() {
    let place = Place::new();
    let text = "visible".repeat(25_000);
    for number in 1..=40 {
        place.store.insert(&conversation_at(id(number), &text)).await.unwrap();
    }
    let (mut lines, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = place.backup.export(cursor.as_deref(), false).await.unwrap();
        assert!(page.lines.iter().map(String::len).sum::<usize>() < 1024 * 1024 + 200 * 1024);
        (cursor, pages) = (page.next, pages + 1);
        lines.extend(page.lines);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((lines.len(), pages), (40, 7));
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 40);
}

#[tokio::test]
async fn rows_of_an_earlier_release_leave_the_store_encrypted() {
    let place = Place::new();
    for (number, is_large) in [(1, false), (2, true)] {
        let new = if is_large { large(number) } else { small(number) };
        place.store.insert(&new).await.unwrap();
    }
    for ((partition, key), row) in place.rows().await {
        if let Ok(value) = as_version_1(&row, 4) {
            assert!(value.contains(SECRET));
            place.commit(partition, Operation::Replace { key, value, if_match: None }).await;
        }
    }
    let lines = place.export(false).await;
    assert!(!lines.concat().contains(SECRET), "{lines:#?}");
    for lines in [lines, place.export(true).await] {
        let to = Place::new();
        assert_eq!(to.backup.import(&lines).await.unwrap().conversations, 2);
        assert_eq!(to.flaws().await, []);
        for whole in [small(1), large(2)] {
            let read = to.store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
            assert_eq!(read.value.destination(), whole.conversation.destination());
            assert_eq!(to.store.payload(&read).await.unwrap().headers, whole.payload.headers);
        }
    }
}

fn refused(result: Result<ImportReport, BackupError>) -> (usize, String) {
    match result {
        Err(BackupError::Line { at, reason }) => (at, reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_line_is_named_and_nothing_is_imported() {
    let lines = filled().await.export(false).await;
    let position = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    let conversation = position("{\"conversation\"");
    let with_payload = position("\"payload\"");
    let changed = |at: usize, from: &str, to: &str| {
        assert!(lines[at].contains(from), "{from} is not in {}", lines[at]);
        lines[at].replace(from, to)
    };
    let without_payload = {
        let mut line: Value = serde_json::from_str(&lines[with_payload]).unwrap();
        line["conversation"].as_object_mut().unwrap().remove("payload");
        line.to_string()
    };
    for (at, line, reason) in [
        (0, "{}".to_owned(), "is neither a client nor a conversation nor an idempotency key"),
        (1, r#"{"other":{}}"#.to_owned(), "is neither a client nor a conversation nor an idempotency key"),
        (conversation, changed(conversation, "~ann~", "~bob~"), "or it was changed or moved"),
        (with_payload, without_payload, "its payload is missing"),
        (conversation, changed(conversation, r#"\"v\":2"#, r#"\"v\":3"#), "version 3"),
    ] {
        let to = Place::new();
        let mut wrong = lines.clone();
        wrong[at] = line;
        let (named, why) = refused(to.backup.import(&wrong).await);
        assert_eq!(named, at, "{why}");
        assert!(why.contains(reason), "{why}");
        assert!(!why.contains("canary") && !why.contains("visible"), "it quotes the line: {why}");
        assert!(to.rows().await.is_empty());
    }
}

#[tokio::test]
async fn a_line_whose_key_is_unknown_is_refused_and_a_revealed_one_is_not() {
    let from = filled().await;
    let other = || {
        let entropy = mcp_scheduler::time::SystemEntropy::new();
        let keys: EncryptionKeys = format!("other:{}", "11".repeat(32)).parse().unwrap();
        Arc::new(Sealer::new(keys, Arc::new(entropy)))
    };
    let to = Place::with_keys(other());
    let (_, reason) = refused(to.backup.import(&from.export(false).await).await);
    assert!(reason.contains("with the key test, which DATA_ENCRYPTION_KEYS does not have"), "{reason}");
    assert!(to.rows().await.is_empty());
    assert_eq!(to.backup.import(&from.export(true).await).await.unwrap(), ALL);
    assert_eq!(to.flaws().await, []);
}

#[tokio::test]
async fn what_cannot_be_exported_is_named_and_the_rest_is_exported() {
    let place = filled().await;
    let (partition, key) = place.keys("p~").await.remove(0);
    place.commit(partition, Operation::Delete { key: key.clone(), if_match: None }).await;
    let (partition, main) = place.keys("m~").await.remove(0);
    let newer = Operation::Replace { key: main.clone(), value: r#"{"v":9,"row":{}}"#.to_owned(), if_match: None };
    place.commit(partition, newer).await;
    let page = place.backup.export(None, false).await.unwrap();
    assert_eq!(page.lines.len(), 9 - 2, "{:#?}", page.lines);
    let unreadable = page.unreadable.join("\n");
    assert!(page.unreadable.len() == 2 && unreadable.contains(&key) && unreadable.contains(&main), "{unreadable}");
}

#[tokio::test]
async fn a_cursor_that_no_page_returned_is_refused() {
    let place = filled().await;
    for cursor in ["x", "1.a'b", "99"] {
        let result = place.backup.export(Some(cursor), false).await;
        assert!(matches!(result, Err(BackupError::InvalidCursor)), "{cursor}");
    }
}
