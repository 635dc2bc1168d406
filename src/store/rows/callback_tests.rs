//! The form of rows with callbacks, and of callbacks.

use super::*;
use crate::domain::{Callback, Endpoint};

const FIXTURES: &str = include_str!("../../../tests/fixtures/rows/callbacks.json");

fn callback(path: &str, headers: &[(&str, &str)]) -> Callback {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    Callback {
        endpoint: Endpoint::from_stored(format!("https://example.com/{path}")),
        headers: Headers::from_stored(headers.collect()),
    }
}

#[test]
fn rows_with_callbacks_have_the_form_of_their_fixtures() {
    let mut fixtures = fixtures(FIXTURES);
    let mut take = |name: &str| fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
    let on_failed = Some(callback("failed", &[("Authorization", "Bearer x"), ("A", "")]));
    let on_completed = Some(callback("completed", &[]));
    let with =
        |on_failed, on_completed| Payload { callbacks: Callbacks { on_failed, on_completed }, ..smallest_payload() };
    for (name, payload) in [
        ("both in their own row", with(on_failed.clone(), on_completed.clone())),
        ("one in its own row", with(None, on_completed.clone())),
    ] {
        let row = take(name);
        check_payload_row(name, &row, &payload);
    }
    let name = "both in the main row of a callback";
    let row = take(name);
    let payload = with(on_failed, on_completed);
    let callback_of = Some("01b8dac2-d400-7000-8000-00000000002b".parse().unwrap());
    let stored = StoredConversation {
        payload_bytes: payload.bytes(),
        stored_bytes: payload.stored_bytes(),
        callback_of,
        ..stored()
    };
    let conversation = Conversation::from(stored);
    check_main_row(name, &row, conversation, Some(payload), 4);
    assert!(fixtures.is_empty(), "fixtures that no case reads: {:?}", fixtures.keys());
}
