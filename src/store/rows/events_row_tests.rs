//! The form of the rows of conversations that are delivered to subscriptions.

use super::*;
use crate::domain::{Settled, SubscriptionId};

#[test]
fn a_row_says_that_the_conversation_goes_to_subscriptions_and_who_has_settled_it() {
    let text_excerpt = Some(TextExcerpt::of(&payload().text));
    let waiting = Conversation::from(StoredConversation { destination: Destination::Events, text_excerpt, ..stored() });
    let subscription = SubscriptionId::of(b"1");
    let settled = vec![Settled { subscription, took: true }];
    let result = AttemptResult { settled, ..result(Outcome::Failure, Some(503), None, "") };
    let conversation = ended(waiting, result);
    let secrets = SealedSecrets::seal(&sealer(), &conversation, Some(&payload())).unwrap();
    let value = encode_conversation(&conversation, Some(&payload()), &secrets, projection::CURRENT).unwrap();
    assert!(value.contains(r#""deliver":"events""#) && !value.contains(r#""target""#), "{value}");
    let expected = format!(r#""settled":[{{"subscription":"{subscription}","took":true}}]"#);
    assert!(value.contains(&expected), "{value}");
    let key = conversation_key(conversation.client(), conversation.id());
    let row = Row { key, value, etag: Etag::new("1".to_owned()) };
    assert_eq!(decode_conversation(&row, &sealer()).unwrap().conversation, conversation);
    let outline = decode_outline(&row).unwrap().conversation;
    assert_eq!(*outline.destination(), Destination::Events, "without the key");
    assert!(due::project(&conversation).unwrap().is_some(), "a worker looks at it");
}
