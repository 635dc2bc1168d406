//! The forms of a wake-up's message.

use proptest::prelude::*;

use super::*;

const ID: &str = "01890000-0000-7000-8000-00000000000f";
const KEY: &str = "d~01895999999000~client-a~01890000-0000-7000-8000-00000000000f";
const LATER: &str = "d~01895999999001~client-a~01890000-0000-7000-8000-00000000000f";

fn slot_wake_up(part: Option<Part>) -> WakeUp {
    let (slot, partitions) = ("2030-01-31T08:30:00Z".parse().unwrap(), "05af".parse().unwrap());
    WakeUp::Slot(SlotWakeUp { slot, partitions, part })
}

fn part(until: Option<&str>, postponed: u32) -> Part {
    Part { after: KEY.parse().unwrap(), until: until.map(|until| until.parse().unwrap()), postponed }
}

#[test]
fn a_message_has_exactly_this_form() {
    let slot = r#""slot":"2030-01-31T08:30:00Z""#;
    for (wake_up, job) in [
        (slot_wake_up(None), format!(r#"{slot},"partitions":"05af""#)),
        (slot_wake_up(Some(part(None, 0))), format!(r#"{slot},"partitions":"05af","after":"{KEY}""#)),
        (
            slot_wake_up(Some(part(Some(LATER), 3))),
            format!(r#"{slot},"partitions":"05af","after":"{KEY}","until":"{LATER}","postponed":3"#),
        ),
        (WakeUp::Switch("2030-01-31T08:30:00Z".parse().unwrap()), slot.to_owned()),
    ] {
        let message = format!(r#"{{"v":2,"job":{{{job}}}}}"#);
        assert_eq!(wake_up.to_message().as_deref(), Some(message.as_str()));
        assert_eq!(WakeUp::from_message(&message), Ok(wake_up));
    }
}

#[test]
fn a_message_of_the_first_release_names_one_conversation() {
    let wake_up = WakeUp::Conversation { client: "client-a".parse().unwrap(), id: ID.parse().unwrap() };
    for message in [
        format!(r#"{{"v":1,"job":{{"client":"client-a","id":"{ID}","generation":1}}}}"#),
        format!("\n{{ \"job\": {{\"generation\":1, \"id\":\"{ID}\",\"client\":\"client-a\"}}, \"v\":1 }} "),
    ] {
        assert_eq!(WakeUp::from_message(&message), Ok(wake_up.clone()), "{message}");
    }
    assert_eq!(wake_up.to_message(), None, "nobody writes it any more");
}

#[test]
fn a_message_of_any_other_form_is_malformed() {
    let first = |job: &str| format!(r#"{{"v":1,"job":{job}}}"#);
    let second = |job: &str| format!(r#"{{"v":2,"job":{{"slot":"2030-01-31T08:30:00Z",{job}}}}}"#);
    let outer = |v: &str| slot_wake_up(None).to_message().unwrap().replace("\"v\":2", v);
    for message in [
        String::new(),
        "   ".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "<html></html>".to_owned(),
        "\0\u{fffd}\u{1}".to_owned(),
        serde_json::to_string(&slot_wake_up(None).to_message()).unwrap(),
        format!("{}{{}}", slot_wake_up(None).to_message().unwrap()),
        outer("\"v\":\"2\""),
        outer("\"v\":2.0"),
        outer("\"v\":1"),
        outer("\"v\":0"),
        outer("\"v\":-1"),
        outer("\"v\":null"),
        outer("\"v\":2,\"v\":2"),
        outer("\"v\":2,\"extra\":0"),
        outer("\"w\":2"),
        r#"{"v":2,"job":{}}"#.to_owned(),
        r#"{"v":2,"job":["2030-01-31T08:30:00Z","0"]}"#.to_owned(),
        r#"{"v":2,"job":{"slot":"2030-01-31T08:30:00.000Z","partitions":"0"}}"#.to_owned(),
        r#"{"v":2,"job":{"slot":"tomorrow","partitions":"0"}}"#.to_owned(),
        r#"{"v":2,"job":{"slot":1893456000,"partitions":"0"}}"#.to_owned(),
        second(r#""partitions":"50""#),
        second(r#""partitions":"x""#),
        second(r#""partitions":null"#),
        second(r#""partitions":"0","extra":1"#),
        second(&format!(r#""after":"{KEY}""#)),
        second(&format!(r#""partitions":"0","until":"{KEY}""#)),
        second(&format!(r#""partitions":"0","after":"{LATER}","until":"{KEY}""#)),
        second(&format!(r#""partitions":"0","after":"m{KEY}""#)),
        second(r#""partitions":"0","after":"d~1~client-a""#),
        second(r#""partitions":"0","after":"d~1""#),
        second(r#""partitions":"0","postponed":1"#),
        first(&format!(r#"["client-a","{ID}",1]"#)),
        first(&format!(r#"{{"client":"client-a","id":"{ID}"}}"#)),
        first(&format!(r#"{{"client":"client-a","id":"{ID}","generation":1,"extra":0}}"#)),
        first(&format!(r#"{{"client":"client-a","id":"{ID}","generation":1,"generation":1}}"#)),
        first(&format!(r#"{{"client":"client-a","id":"{ID}","generation":-1}}"#)),
        first(&format!(r#"{{"client":"a|m|b","id":"{ID}","generation":1}}"#)),
        first(&format!(r#"{{"client":"\ud800","id":"{ID}","generation":1}}"#)),
        first(r#"{"client":"client-a","id":"x' or '1' eq '1","generation":1}"#),
    ] {
        assert_eq!(WakeUp::from_message(&message), Err(InvalidWakeUp::Malformed), "{message}");
    }
}

#[test]
fn a_message_of_a_newer_version_is_recognised_by_its_version_alone() {
    for message in [r#"{"v":3}"#, r#"{"v":3,"job":{"anything":[1]},"more":null}"#] {
        assert_eq!(WakeUp::from_message(message), Err(InvalidWakeUp::Newer(3)), "{message}");
    }
}

#[test]
fn an_error_does_not_quote_the_message() {
    let error = WakeUp::from_message("canary").unwrap_err().to_string();
    assert!(!error.contains("canary"), "{error}");
}

proptest! {
    #[test]
    fn a_wake_up_is_read_back_from_its_message(
        client in "[A-Za-z0-9._-]{1,64}", random: [u8; 10], seconds in 0_i64..4_102_444_800, partitions in 0_u16..,
        behind: Option<(bool, u32)>,
    ) {
        let at = crate::domain::Timestamp::from_millis(seconds * 1000);
        let id = ConversationId::new(at, &random);
        let after = DueKey { at, client: client.parse().unwrap(), id };
        let until = DueKey { at: at + std::time::Duration::from_millis(1), ..after.clone() };
        let digits: String = (0..16).filter(|i| partitions & (1 << i) != 0).filter_map(|i| char::from_digit(i, 16)).collect();
        let part = behind.map(|(ends, postponed)| Part { after: DueBound::Row(after), until: ends.then_some(until), postponed });
        let wake_up = match (digits.is_empty(), part) {
            (true, _) => WakeUp::Switch(Slot::of(at)),
            (false, part) => {
                WakeUp::Slot(SlotWakeUp { slot: Slot::of(at), partitions: digits.parse().unwrap(), part })
            }
        };
        prop_assert_eq!(WakeUp::from_message(&wake_up.to_message().unwrap()), Ok(wake_up));
    }
}
