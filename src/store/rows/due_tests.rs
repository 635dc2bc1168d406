//! The order of due rows.

use proptest::prelude::*;

use super::*;

fn key() -> impl Strategy<Value = DueKey> {
    let client = prop_oneof!["[a-c.-]{1,3}", "[A-Za-z0-9._-]{1,64}"];
    (0_i64..50, client, any::<[u8; 10]>()).prop_map(|(at, client, random)| DueKey {
        at: Timestamp::from_millis(at),
        client: client.parse().unwrap(),
        id: ConversationId::new(Timestamp::from_millis(1_900_000_000_000), &random),
    })
}

proptest! {
    #[test]
    fn keys_are_ordered_as_their_texts(a in key(), b in key()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn a_bound_is_before_the_rows_whose_keys_are_behind_its_text(key in key(), other in key(), at in 0_i64..50) {
        for bound in [DueBound::Row(other.clone()), DueBound::Time(Timestamp::from_millis(at))] {
            prop_assert_eq!(bound.is_before(&key), bound.to_string() < key.to_string(), "{}", bound);
            prop_assert_eq!(bound.to_string().parse(), Ok(bound));
        }
    }

    #[test]
    fn a_key_is_read_back(key in key()) {
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }
}

#[test]
fn other_texts_are_no_keys() {
    let id = "01890000-0000-7000-8000-00000000000f";
    for text in ["", "d", "d~", "d~1", "d~1~a", &format!("d~1~a~{id}"), &format!("m~00000000000001~a~{id}")] {
        assert!(text.parse::<DueBound>().is_err() && text.parse::<DueKey>().is_err(), "{text}");
    }
    assert!(format!("d~00000000000001~a~{id}~x").parse::<DueBound>().is_err());
    assert!("d~-0000000000001".parse::<DueBound>().is_err());
}
