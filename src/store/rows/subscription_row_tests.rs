use super::super::sealer;
use super::*;
use crate::store::Etag;

fn row(key: &str, value: String) -> Row {
    Row { key: key.to_owned(), value, etag: Etag::new("1".to_owned()) }
}

#[test]
fn the_row_of_a_subscription_is_read_again_and_shows_neither_its_url_nor_its_secrets() {
    let (client, sealer): (ClientId, _) = ("ann".parse().unwrap(), sealer());
    let id = SubscriptionId::of(b"1");
    let filter = EventFilter {
        conversation: Some("019b7a4f-91a0-7c1b-8f53-0d6f3f1be2a3".parse().unwrap()),
        channel: Some("chat-7".to_owned()),
    };
    let expires = Timestamp::from_millis(1_893_456_000_000);
    let subscription = Subscription { id, client, event: EventName::Failed, filter, expires };
    let subscriber = Subscriber {
        endpoint: Endpoint::from_stored("https://agent.example.com/canary?key=canary".to_owned()),
        secret: Secret::new(b"canary, canary, canary, canary".to_vec()),
        previous: Some((Secret::new(b"the canary before it".to_vec()), expires)),
    };
    let key = subscription_key(&subscription);
    let value = encode_subscription(&subscription, &subscriber, &sealer).unwrap();
    assert!(value.contains("https://agent.example.com\""), "the operator sees the host: {value}");
    for secret in ["canary", &STANDARD.encode(subscriber.secret.expose())] {
        assert!(!value.contains(secret), "{value}");
    }
    let (read, sealed) = decode_subscription(&row(&key, value)).unwrap();
    assert_eq!(read, subscription);
    assert_eq!(open_subscriber(&sealed, &key, &sealer).unwrap(), subscriber);
    let moved = open_subscriber(
        &sealed,
        &subscription_key(&Subscription { client: "bob".parse().unwrap(), ..subscription }),
        &sealer,
    );
    assert!(matches!(moved, Err(StoreError::Undecryptable { .. })), "it is bound to its row: {moved:?}");
}

#[test]
fn an_id_is_read_as_it_is_written() {
    let id = SubscriptionId::of(b"1");
    assert_eq!(id.to_string().parse(), Ok(id));
    for wrong in ["sub_1", "6b86b273ff34fce19d6b804eff5a3f57", "sub_6B86b273ff34fce19d6b804eff5a3f57"] {
        assert!(wrong.parse::<SubscriptionId>().is_err(), "{wrong}");
    }
}
