//! The form of rows with a body or a check on the response.

use super::*;
use crate::domain::{BodyTemplate, Expected, SuccessWhen};

const FIXTURES: &str = include_str!("../../../tests/fixtures/rows/body.json");

fn payload(body: Option<&str>, check: Option<(&str, Expected)>) -> Payload {
    Payload {
        body: body.map(|json| BodyTemplate { json: json.to_owned(), rendered_bytes: 77 }),
        success_when: check.map(|(pointer, expected)| SuccessWhen { pointer: pointer.to_owned(), expected }),
        ..smallest_payload()
    }
}

fn of(payload: &Payload) -> Conversation {
    let (payload_bytes, stored_bytes) = (payload.bytes(), payload.stored_bytes());
    StoredConversation { payload_bytes, stored_bytes, ..stored() }.into()
}

#[test]
fn rows_with_a_body_or_a_check_have_the_form_of_their_fixtures() {
    let mut fixtures = fixtures(FIXTURES);
    let mut take = |name: &str| fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
    let body = r#"{ "text": "{{conversationText}} \u00e9", "n": 1.50, "a": ["{{occurrence}}"] }"#;
    let equals = |json: &str| Expected::Equals(json.to_owned());
    for (name, payload) in [
        ("body in its own row", payload(Some(body), None)),
        ("equals in its own row", payload(None, Some(("/a~1b/0", equals(r#""a\u00e9""#))))),
        ("absent in its own row", payload(None, Some(("/error", Expected::Absent)))),
    ] {
        let row = take(name);
        check_payload_row(name, &row, &payload);
    }
    for (name, payload) in [
        ("body in the main row", payload(Some(body), None)),
        ("equals in the main row", payload(None, Some(("/ok", equals("true"))))),
    ] {
        let row = take(name);
        check_main_row(name, &row, of(&payload), Some(payload), 3);
    }
    let (row, conversation) = (take("main row of a body in its own row"), of(&payload(Some(body), None)));
    assert_eq!(decode_conversation(&row, &sealer()).unwrap().conversation, conversation);
    let secrets = SealedSecrets::seal(&sealer(), &conversation, None).unwrap();
    let value = encode_conversation(&conversation, None, &secrets, projection::CURRENT).unwrap();
    assert_eq!(decode_conversation(&Row { value, ..row }, &sealer()).unwrap().conversation, conversation);
    let earlier = decode_conversation(&take("main row of a body in its own row, of an earlier release"), &sealer());
    assert_eq!(earlier.unwrap().conversation.stored_bytes(), conversation.payload_bytes());
    assert!(fixtures.is_empty(), "fixtures that no case reads: {:?}", fixtures.keys());
}
