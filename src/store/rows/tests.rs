//! Every byte of the form of rows: a row that any release has written must stay readable.
//!
//! The fixtures are never regenerated. If the form changes, `VERSION` changes too, and a fixture of the new form is
//! added. The old fixture stays, and must still be read.
//!
//! Main rows and payload rows of version 1 are only read. The file of version 2 has the same conversations. Its encrypted
//! parts were checked with another implementation of AES-256-GCM (the Python package `cryptography`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;
use crate::domain::{
    AdditionalInfo, AttemptResult, Callbacks, Claim, ClaimedAttempt, Course, DeliveryPolicy, Destination,
    EndpointPolicy, ErrorClass, Expiry, Format, Headers, Labels, LeaseToken, Method, Named, Occurrence, Outcome,
    Period, PeriodUnit, Recurrence, ScheduledBy, Secret, Series, Sha256, State, StoredConversation, Target,
    TextExcerpt, ThreadId, Timestamp, ZoneRecord,
};
use crate::store::Etag;

#[path = "body_tests.rs"]
mod body;
#[path = "callback_tests.rs"]
mod callbacks;
#[path = "events_row_tests.rs"]
mod events_rows;
#[path = "inbox_row_tests.rs"]
mod inbox_rows;

const CONVERSATIONS: &str = include_str!("../../../tests/fixtures/rows/conversation.json");
const CONVERSATIONS_2: &str = include_str!("../../../tests/fixtures/rows/conversation-2.json");
const CONVERSATIONS_3: &str = include_str!("../../../tests/fixtures/rows/conversation-3.json");
const CONVERSATIONS_4: &str = include_str!("../../../tests/fixtures/rows/conversation-4.json");
const WITH_OPTIONAL_FIELDS: &str = include_str!("../../../tests/fixtures/rows/conversation-optional.json");
const INDEX_ROWS: &str = include_str!("../../../tests/fixtures/rows/index.json");
const INDEX_ROWS_2: &str = include_str!("../../../tests/fixtures/rows/index-2.json");
const DUE_ROWS: &str = include_str!("../../../tests/fixtures/rows/due.json");
const KEYS: &str = include_str!("../../../tests/fixtures/rows/idempotency.json");
const PAYLOADS: &str = include_str!("../../../tests/fixtures/rows/payload.json");
const VERSION_2: &str = include_str!("../../../tests/fixtures/rows/version-2.json");

const CREATED: Timestamp = Timestamp::from_millis(1_893_456_000_000);
const DUE: Timestamp = Timestamp::from_millis(1_893_459_600_000);

/// A row in a fixture file.
#[derive(Deserialize)]
struct Fixture {
    key: String,
    value: Box<RawValue>,
}

impl Fixture {
    fn row(&self) -> Row {
        Row { key: self.key.clone(), value: self.value.get().to_owned(), etag: Etag::new("1".to_owned()) }
    }
}

fn fixtures(text: &str) -> BTreeMap<String, Fixture> {
    serde_json::from_str(text).unwrap()
}

/// Checks that a main row of version 1 is read, and that it is written and read in version 2.
fn check_main_row(name: &str, row: &Row, conversation: Conversation, payload: Option<Payload>, projection: u32) {
    assert_eq!(conversation_key(conversation.client(), conversation.id()), row.key, "{name}");
    let secrets = SealedSecrets::seal(&sealer(), &conversation, payload.as_ref()).unwrap();
    let written = encode_conversation(&conversation, payload.as_ref(), &secrets, projection::CURRENT).unwrap();
    // Rows of version 1 have no excerpt of a text that has a row of its own.
    let excerpt = payload.as_ref().map(|payload| TextExcerpt::of(&payload.text));
    let conversation = conversation.with_text_excerpt(excerpt);
    let payload = payload.map_or(StoredPayload::InOwnRow, |payload| StoredPayload::InMainRow(Box::new(payload)));
    let read = MainRow { conversation, payload, secrets: None, projection };
    assert_eq!(decode_conversation(row, &sealer()).unwrap(), read, "{name}");
    let again = MainRow { secrets: Some(secrets), projection: projection::CURRENT, ..read };
    check_version_2(name, &row.key, &written, |row| assert_eq!(decode_conversation(row, &sealer()).unwrap(), again));
}

/// The same for a main row with fields that version 1 did not have.
fn check_newer_main_row(name: &str, conversation: StoredConversation) {
    let conversation = Conversation::from(conversation);
    let secrets = SealedSecrets::seal(&sealer(), &conversation, None).unwrap();
    let written = encode_conversation(&conversation, None, &secrets, projection::CURRENT).unwrap();
    check_version_2(name, &conversation_key(conversation.client(), conversation.id()), &written, |row| {
        assert_eq!(decode_conversation(row, &sealer()).unwrap().conversation, conversation);
    });
}

/// The same for a payload row.
fn check_payload_row(name: &str, row: &Row, payload: &Payload) {
    assert_eq!(payload_key(scheduled().client(), scheduled().id()), row.key, "{name}");
    assert_eq!(decode_payload(row, &sealer()).unwrap(), *payload, "{name}");
    let written = payload::encode_payload(&scheduled(), payload, &sealer()).unwrap();
    let read = |row: &Row| assert_eq!(decode_payload(row, &sealer()).unwrap(), *payload, "{name}");
    check_version_2(&format!("payload row: {name}"), &row.key, &written, read);
}

fn check_version_2(name: &str, key: &str, written: &str, read: impl Fn(&Row)) {
    let fixtures = fixtures(VERSION_2);
    let row = fixtures.get(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
    assert_eq!((row.key.as_str(), row.value.as_str()), (key, written), "{name}");
    read(&row);
}

fn scheduled() -> Conversation {
    stored().into()
}

fn stored() -> StoredConversation {
    let endpoint = EndpointPolicy::default().check("https://example.com/hook?a=1&b=%20").unwrap();
    StoredConversation {
        id: "01b8dac2-d400-7000-8000-00000000002a".parse().unwrap(),
        client: "a-Client.with_09".parse().unwrap(),
        created: CREATED,
        updated: CREATED,
        due: DUE,
        zone: None,
        generation: 3,
        payload_bytes: payload().bytes(),
        stored_bytes: payload().stored_bytes(),
        text_excerpt: None,
        format: Format::Json,
        destination: Destination::Endpoint(Target { endpoint, method: Method::Patch }),
        policy: DeliveryPolicy { max_attempts: 12, timeout_seconds: 30 },
        state: State::Scheduled,
        attempts: Vec::new(),
        attempts_before_redelivery: 0,
        labels: Labels::default(),
        thread_id: None,
        expiry: None,
        series: None,
        named: None,
        callback_of: None,
        by: ScheduledBy::default(),
    }
}

fn named(definition: Option<Sha256>) -> Named {
    Named { name: "daily-report".parse().unwrap(), definition }
}

fn payload() -> Payload {
    Payload {
        text: "Say \"hi\" \\ at 9:\n\tZoë, 日本, 🦀\u{1}".to_owned(),
        info: Some(AdditionalInfo::from_json(r#"{"z": 1.50, "a": [null, 1e3], "u": "\u00e9"}"#.to_owned())),
        headers: headers(&[("X-Second", "2"), ("Authorization", "Bearer t")]),
        body: None,
        success_when: None,
        callbacks: Callbacks::default(),
    }
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    Headers::parse(pairs.collect()).unwrap()
}

/// A conversation in which every optional field is missing.
fn smallest() -> Conversation {
    let endpoint = EndpointPolicy::default().check("https://example.com").unwrap();
    StoredConversation {
        payload_bytes: smallest_payload().bytes(),
        stored_bytes: smallest_payload().stored_bytes(),
        format: Format::Text,
        destination: Destination::Endpoint(Target { endpoint, method: Method::Get }),
        ..stored()
    }
    .into()
}

fn smallest_payload() -> Payload {
    Payload {
        text: "x".to_owned(),
        info: None,
        headers: Headers::default(),
        body: None,
        success_when: None,
        callbacks: Callbacks::default(),
    }
}

const TOKEN: LeaseToken = LeaseToken::new([0xff; 8]);

fn claimed(conversation: Conversation) -> ClaimedAttempt {
    let at = conversation.next_wake_at().unwrap();
    let Ok(Claim::Attempt(claimed)) = conversation.claim(TOKEN, at, Duration::ZERO) else { panic!("it is due") };
    claimed
}

fn delivering(conversation: Conversation) -> Conversation {
    claimed(conversation).conversation().clone()
}

fn ended(conversation: Conversation, result: AttemptResult) -> Conversation {
    let claimed = claimed(conversation);
    let started = claimed.attempt().started;
    claimed.complete(started, result, Duration::from_secs(5), started + Duration::from_millis(250))
}

fn result(outcome: Outcome, http_status: Option<u16>, error: Option<ErrorClass>, excerpt: &str) -> AttemptResult {
    AttemptResult {
        outcome,
        duration_ms: 250,
        http_status,
        error,
        response_excerpt: excerpt.to_owned(),
        settled: Vec::new(),
    }
}

fn refused() -> AttemptResult {
    result(Outcome::Failure, Some(503), None, "come back \"later\"\n")
}

/// A failed conversation with an attempt for each error class, so that the fixture has all their names.
fn failed() -> Conversation {
    let errors = [
        ErrorClass::DnsError,
        ErrorClass::ConnectRefused,
        ErrorClass::ConnectTimeout,
        ErrorClass::ConnectFailed,
        ErrorClass::TlsError,
        ErrorClass::ConnectionReset,
        ErrorClass::TotalTimeout,
        ErrorClass::ProtocolError,
    ];
    let reports = errors.map(|error| result(Outcome::Failure, None, Some(error), ""));
    let last = [
        AttemptResult::unknown(60_000),
        result(Outcome::Failure, Some(200), Some(ErrorClass::ConnectionReset), "half"),
    ];
    let policy = DeliveryPolicy { max_attempts: 11, timeout_seconds: 30 };
    let conversation = StoredConversation { policy, ..stored() }.into();
    [refused()].into_iter().chain(reports).chain(last).fold(conversation, ended)
}

/// A conversation that was redelivered and has failed permanently.
fn redelivered() -> Conversation {
    let again = failed().redeliver(DUE + Duration::from_hours(1)).unwrap();
    ended(again, result(Outcome::PermanentFailure, Some(410), None, "gone"))
}

fn conversations() -> [(&'static str, Conversation); 8] {
    let completed = ended(ended(scheduled(), refused()), result(Outcome::Success, Some(204), None, ""));
    [
        ("scheduled", scheduled()),
        ("smallest", smallest()),
        ("delivering", delivering(ended(scheduled(), refused()))),
        ("waiting", ended(scheduled(), refused())),
        ("completed", completed),
        ("failed", failed()),
        ("redelivered", redelivered()),
        ("cancelled", scheduled().cancel(CREATED + Duration::from_secs(1)).unwrap()),
    ]
}

#[test]
fn conversations_are_written_and_read_in_the_form_of_the_fixtures() {
    let mut fixtures = fixtures(CONVERSATIONS);
    for (name, conversation) in conversations() {
        let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        let payload = if name == "smallest" { smallest_payload() } else { payload() };
        check_main_row(name, &row, conversation, Some(payload), 1);
    }
    assert!(fixtures.is_empty(), "fixtures without a conversation: {:?}", fixtures.keys());
}

#[test]
fn main_rows_of_later_projections_have_the_form_of_their_fixtures() {
    let zone = |wall: Option<&str>| {
        let (name, database, wall) = ("Europe/Berlin".to_owned(), "2025b".to_owned(), wall.map(str::to_owned));
        Conversation::from(StoredConversation { zone: Some(ZoneRecord { name, database, wall }), ..stored() })
    };
    let zoned =
        vec![("wall time in a zone", zone(Some("2030-01-01T02:00:00")), None), ("delay with a zone", zone(None), None)];
    for (file, version, zoned) in
        [(CONVERSATIONS_2, 2, zoned), (CONVERSATIONS_3, 3, Vec::new()), (CONVERSATIONS_4, 4, Vec::new())]
    {
        let mut fixtures = fixtures(file);
        let plain =
            [("payload inside", scheduled(), Some(payload())), ("payload in a row of its own", scheduled(), None)];
        for (name, conversation, payload) in plain.into_iter().chain(zoned) {
            let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
            check_main_row(name, &row, conversation, payload, version);
        }
        assert!(fixtures.is_empty(), "fixtures without a conversation: {:?}", fixtures.keys());
    }
    assert_eq!(Projection::default().version(), 5);
}

#[test]
fn a_row_with_an_excerpt_and_a_trace_has_the_form_of_its_fixture() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok();
    let text_excerpt = Some(TextExcerpt::of(&payload().text));
    let by = ScheduledBy { trace, ..ScheduledBy::default() };
    check_newer_main_row("excerpt and trace", StoredConversation { text_excerpt, by, ..stored() });
}

#[test]
fn index_rows_are_written_in_the_form_of_the_fixtures() {
    let (mut before, mut fixtures) = (fixtures(INDEX_ROWS), fixtures(INDEX_ROWS_2));
    for (name, conversation) in conversations() {
        let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        let projected = index::project(&conversation).unwrap().unwrap();
        assert_eq!(projected, (row.key.clone(), row.value.clone()), "{name}");
        assert_eq!(indexed_id(&row.key), Some(conversation.id()), "{name}");
        if conversation.ended().is_none() {
            assert_eq!(indexed_bytes(&row), conversation.stored_bytes(), "{name}");
        }
        // The row of an earlier release stands at the same place, and does not say its bytes.
        let before = before.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        assert_eq!((&before.key, indexed_bytes(&before)), (&row.key, 4096), "{name}");
    }
    assert!(fixtures.is_empty(), "fixtures without a conversation: {:?}", fixtures.keys());
    for unknown in ["", r#"{"v":3,"row":{"bytes":7}}"#, r#"{"v":1,"row":{"bytes":-1}}"#] {
        assert_eq!(indexed_bytes(&row("x~c~live~0~0", unknown)), 4096, "{unknown}");
    }
}

fn series(has_everything: bool) -> Series {
    let recurrence = Recurrence {
        cron: "0 9 * * 1-5".parse().unwrap(),
        zone: "Europe/Berlin".parse().unwrap(),
        period: None,
        end: None,
        max_occurrences: None,
        stop_on_failure: false,
    };
    if !has_everything {
        return Series { recurrence, number: 1, missed: 0, course: Course::Running, history: Vec::new() };
    }
    let over = |number, missed, failure: Option<&str>| Occurrence {
        number,
        due: DUE,
        missed,
        ended: DUE + Duration::from_secs(number.into()),
        attempts: 2,
        failure: failure.map(str::to_owned),
    };
    Series {
        recurrence: Recurrence { end: Some(DUE), max_occurrences: Some(30), stop_on_failure: true, ..recurrence },
        number: 3,
        missed: 7,
        course: Course::Paused,
        history: vec![over(1, 0, None), over(2, 4, Some("answered 500"))],
    }
}

#[test]
fn a_main_row_with_labels_a_thread_and_an_expiry_has_the_form_of_its_fixture() {
    let mut fixtures = fixtures(WITH_OPTIONAL_FIELDS);
    let labels = [("team", "ops"), ("x.y_z-9", "Zoë: \"1\"")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let all = StoredConversation {
        labels: Labels::parse(labels.into()).unwrap(),
        thread_id: Some(ThreadId::from_stored("thread/7".to_owned())),
        expiry: Some(Expiry::of(DUE, Duration::from_mins(5))),
        ..stored()
    };
    let expired = Conversation::from(all.clone()).expired(DUE + Duration::from_mins(6)).unwrap();
    for (name, conversation) in [
        ("all", all.clone().into()),
        ("expired", expired.clone()),
        ("redelivered", expired.redeliver(DUE + Duration::from_hours(1)).unwrap()),
        ("recurring", StoredConversation { series: Some(series(false)), ..stored() }.into()),
        ("named", StoredConversation { named: Some(named(Some(Sha256::new([7; 32])))), ..stored() }.into()),
        ("named, changed since", StoredConversation { named: Some(named(None)), ..stored() }.into()),
        ("recurring, with everything", StoredConversation { series: Some(series(true)), ..stored() }.into()),
    ] {
        let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        check_main_row(&format!("optional: {name}"), &row, conversation, None, 3);
    }
    assert!(fixtures.is_empty(), "fixtures without a conversation: {:?}", fixtures.keys());
}

#[test]
fn a_row_of_every_second_week_has_the_form_of_its_fixture() {
    let Series { recurrence, .. } = series(true);
    let period = Some(Period { unit: PeriodUnit::Week, length: 2, first: 105_893 });
    let series = Series { recurrence: Recurrence { period, ..recurrence }, ..series(true) };
    check_newer_main_row("every second week", StoredConversation { series: Some(series), ..stored() });
}

#[test]
fn payload_rows_are_written_and_read_in_the_form_of_the_fixtures() {
    let mut fixtures = fixtures(PAYLOADS);
    for (name, payload) in [("full", payload()), ("smallest", smallest_payload())] {
        let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        assert_eq!(payload_key(scheduled().client(), scheduled().id()), row.key, "{name}");
        check_payload_row(name, &row, &payload);
    }
    assert!(fixtures.is_empty(), "fixtures without a payload: {:?}", fixtures.keys());
}

#[test]
fn due_rows_are_written_and_read_in_the_form_of_the_fixtures() {
    let mut fixtures = fixtures(DUE_ROWS);
    for (name, conversation, leased, retry) in [
        ("scheduled", scheduled(), false, false),
        ("leased", delivering(scheduled()), true, false),
        ("retry", ended(scheduled(), refused()), false, true),
    ] {
        let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        let (key, value) = due::project(&conversation).unwrap().unwrap();
        assert_eq!((key, value), (row.key.clone(), row.value.clone()), "{name}");
        let key = DueKey {
            at: conversation.next_wake_at().unwrap(),
            client: conversation.client().clone(),
            id: conversation.id(),
        };
        assert_eq!(decode_due(&row).unwrap(), DueRow { key, leased, retry }, "{name}");
    }
    let key = DueKey { at: DUE, client: scheduled().client().clone(), id: scheduled().id() };
    for (name, leased) in [
        ("first release", false),
        ("first release, hinted", false),
        ("first release, hinted again", false),
        ("first release, leased", true),
    ] {
        let row = fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
        assert_eq!(decode_due(&row).unwrap(), DueRow { key: key.clone(), leased, retry: false }, "{name}");
    }
    assert!(fixtures.is_empty(), "fixtures that no case reads: {:?}", fixtures.keys());
    assert_eq!(due::project(&scheduled().cancel(CREATED).unwrap()).unwrap(), None);
}

#[test]
fn the_rows_of_an_idempotency_key_have_the_form_of_their_fixtures() {
    let mut fixtures = fixtures(KEYS);
    let mut take = |name: &str| fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
    let (key_row, expiry_row) = (take("key"), take("expiry"));
    let (key, fingerprint) = (Sha256::new([0xab; 32]), Sha256::new([0x01; 32]));
    let row = KeyRow::new(scheduled().id(), fingerprint, CREATED, DUE);
    assert_eq!(key_row_key(scheduled().client(), key), key_row.key);
    assert_eq!(encode_key_row(&row).unwrap(), key_row.value);
    assert_eq!(decode_key_row(&key_row).unwrap(), row);
    assert_eq!((row.due(), row.expires()), (DUE, CREATED + Duration::from_hours(24)));
    assert_eq!(expiry_key(row.expires(), &key_row.key), expiry_row.key);
    assert_eq!(encode_expiry_row().unwrap(), expiry_row.value);
    assert_eq!(expired_key_row(&expiry_row), Some(&*key_row.key));
    let (before, then) = (row.expires() - Duration::from_millis(1), row.expires());
    assert!(expiry_row.key >= expired_rows(before).to);
    assert!(expired_rows(then).from <= expiry_row.key && expiry_row.key < expired_rows(then).to);
    assert!(fixtures.is_empty(), "fixtures that no case reads: {:?}", fixtures.keys());
}

fn row(key: &str, value: &str) -> Row {
    Row { key: key.to_owned(), value: value.to_owned(), etag: Etag::new("1".to_owned()) }
}

fn encoded(conversation: &Conversation, payload: Option<&Payload>) -> String {
    let secrets = SealedSecrets::seal(&sealer(), conversation, payload).unwrap();
    encode_conversation(conversation, payload, &secrets, projection::CURRENT).unwrap()
}

#[test]
fn a_row_of_a_newer_version_is_not_read() {
    let value = encoded(&scheduled(), Some(&payload())).replacen(r#"{"v":2,"#, r#"{"v":3,"#, 1);
    for value in [value.as_str(), r#"{"v":3,"row":{"something":"else"}}"#, r#"{"v":3,"row":[],"more":1}"#] {
        let error = decode_conversation(&row("m~c~0", value), &sealer()).unwrap_err().to_string();
        assert!(error.contains("version 3") && error.contains("m~c~0"), "{error}");
    }
}

#[test]
fn the_error_for_a_damaged_row_has_its_key_and_not_its_value() {
    let good = encoded(&scheduled(), Some(&payload()));
    let apart = encoded(&scheduled(), None);
    let key = conversation_key(scheduled().client(), scheduled().id());
    let cut = &good[..good.len() / 2];
    let other = good.replace("scheduled", "secret-state");
    let no_payload = apart.replace("\"bytes\":", "\"secret\":");
    let two_payloads = good.replace("\"format\":", "\"bytes\":7,\"format\":");
    let no_endpoint = good.replace("\"sealed\":", "\"secret\":");
    let damaged = ["", "null", "{", r#"{"v":1}"#, r#"{"v":"secret"}"#, r#"{"row":{}}"#, cut, &other];
    for value in damaged.into_iter().chain([no_payload.as_str(), two_payloads.as_str(), no_endpoint.as_str()]) {
        let error = decode_conversation(&row(&key, value), &sealer()).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { key: named, .. } if *named == key), "{value} {error:?}");
        let text = format!("{error} {error:?}");
        assert!(!["secret", "Bearer", "Zoë"].iter().any(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn the_error_for_a_due_row_with_an_invalid_key_has_the_key() {
    let (_, value) = due::project(&scheduled()).unwrap().unwrap();
    let id = scheduled().id();
    for key in [
        "d".to_owned(),
        "d~01893459600000".to_owned(),
        format!("d~01893459600000~client~{id}~more"),
        format!("d~tomorrow~client~{id}"),
        "d~01893459600000~client~7".to_owned(),
    ] {
        let error = decode_due(&row(&key, &value)).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { key: named, .. } if *named == key), "{error:?}");
    }
}

#[test]
fn due_keys_sort_by_time_and_ranges_end_before_their_end() {
    let StoredConversation { client, id, .. } = stored();
    let key = |millis: i64| DueKey { at: Timestamp::from_millis(millis), client: client.clone(), id }.to_string();
    let time = |millis| DueBound::Time(Timestamp::from_millis(millis));
    let rows = |from, to| due_rows(&time(from), &time(to));
    let times = [0, 9, 10, 999, 1_893_459_600_000, 9_999_999_999_999, 99_999_999_999_999];
    assert!(times.map(key).is_sorted_by(|a, b| a < b));
    for at in times {
        let before = rows(0, at);
        assert!(key(at) >= before.to, "the end is exclusive");
        assert!(at == 0 || (before.from.as_str()..before.to.as_str()).contains(&key(at - 1).as_str()));
        assert!(rows(at, at + 1).from <= key(at), "a time is before its rows");
        let row = DueBound::Row(key(at).parse().unwrap());
        assert!(due_rows(&row, &time(at + 1)).from > key(at), "a row is before the place behind it");
        assert!((due_rows(&time(0), &row).from..due_rows(&time(0), &row).to).contains(&key(at)));
        assert!(at == 99_999_999_999_999 || due_rows(&time(0), &row).to < key(at + 1));
    }
}
