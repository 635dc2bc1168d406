//! The form of the rows of conversations in an inbox.

use super::*;
use crate::domain::Received;

const FIXTURES: &str = include_str!("../../../tests/fixtures/rows/inbox.json");

#[test]
fn rows_of_an_inbox_have_the_form_of_their_fixtures() {
    let mut fixtures = fixtures(FIXTURES);
    let mut take = |name: &str| fixtures.remove(name).unwrap_or_else(|| panic!("no fixture: {name}")).row();
    let text_excerpt = Some(TextExcerpt::of(&payload().text));
    let waiting = Conversation::from(StoredConversation { destination: Destination::Inbox, text_excerpt, ..stored() });
    let lease = Duration::from_secs(90);
    let Ok(Claim::Attempt(claimed)) = waiting.clone().receive(LeaseToken::new([7; 8]), DUE, lease) else {
        panic!("it is due")
    };
    let leased = claimed.conversation().clone();
    let result = claimed.acknowledged(Received::Failed, DUE + Duration::from_secs(1));
    let failed = claimed.complete(DUE, result, Duration::from_secs(5), DUE + Duration::from_secs(1));
    let lost = leased.clone().receive(LeaseToken::new([8; 8]), DUE + lease, lease);
    let Ok(Claim::Attempt(lost)) = lost else { panic!("the lease is over") };
    let cases =
        [("waiting", waiting), ("leased", leased), ("failed", failed), ("leased again", lost.conversation().clone())];
    for (name, conversation) in cases {
        let (main, payload) = (take(name), payload());
        let secrets = SealedSecrets::seal(&sealer(), &conversation, Some(&payload)).unwrap();
        let written = encode_conversation(&conversation, Some(&payload), &secrets, projection::CURRENT).unwrap();
        assert_eq!(
            (conversation_key(conversation.client(), conversation.id()), written),
            (main.key.clone(), main.value.clone()),
            "{name}"
        );
        let read = decode_conversation(&main, &sealer()).unwrap();
        assert_eq!((&read.conversation, read.payload.in_main_row()), (&conversation, Some(&payload)), "{name}");
        let outline = decode_outline(&main).unwrap().conversation;
        assert_eq!(outline.receivable_at(), conversation.receivable_at(), "{name} without the key");
        let inbox = take(&format!("{name}: inbox row"));
        assert_eq!(inbox::project(&conversation).unwrap(), Some((inbox.key, inbox.value)), "{name}");
        assert_eq!(due::project(&conversation).unwrap(), None, "{name}");
    }
    assert!(fixtures.is_empty(), "fixtures that no case reads: {:?}", fixtures.keys());
}

#[test]
fn a_row_that_names_no_place_or_two_is_not_read() {
    let row = fixtures(FIXTURES).remove("waiting").unwrap().row();
    let target = r#""target":{"origin":"https://example.com","method":"POST"}"#;
    for wrong in ["", target, &format!(r#"{target},"deliver":"inbox""#), r#""deliver":"elsewhere""#] {
        let place = if wrong.is_empty() { r#","deliver":"inbox""# } else { r#""deliver":"inbox""# };
        let damaged = Row { value: row.value.replace(place, wrong), ..row.clone() };
        assert_ne!(damaged.value, row.value);
        assert!(decode_conversation(&damaged, &sealer()).is_err(), "{wrong}");
    }
}
