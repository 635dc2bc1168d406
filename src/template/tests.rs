use proptest::prelude::*;

use super::*;
use crate::domain::Timestamp;

const INFO: &str =
    r#"{ "a": {"b c": "Zoë \"1\"", "n": 1.50, "list": [true, {"x": null}]}, "o/~": "s", "\u00df": "sz" }"#;

fn values() -> TemplateValues<'static> {
    TemplateValues {
        conversation_text: "Say \"hi\"\n{{conversationId}} \u{1}",
        conversation_id: "0190".into(),
        scheduled_time: Timestamp::from_millis(1_893_459_600_000),
        occurrence: 7,
        name: "daily-report",
        additional_info: Some(INFO),
    }
}

fn rendered(template: &str) -> String {
    render(template, &values(), MAX_RENDERED).unwrap()
}

fn errors(template: &str) -> Vec<(String, String)> {
    let errors = render(template, &values(), MAX_RENDERED).unwrap_err();
    errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
}

#[test]
fn each_placeholder_has_its_value() {
    for (name, value) in [
        ("conversationText", "Say \"hi\"\n{{conversationId}} \u{1}"),
        (" conversationId ", "0190"),
        ("scheduledTime", "2030-01-01T01:00:00.000Z"),
        ("occurrence", "7"),
        ("additionalInfo.a.b c", "Zoë \"1\""),
        ("additionalInfo.a.n", "1.50"),
        ("additionalInfo.a.list", r#"[true, {"x": null}]"#),
        ("additionalInfo.a.list.0", "true"),
        ("additionalInfo.a.list.1.x", "null"),
        ("additionalInfo.o/~", "s"),
        ("additionalInfo.ß", "sz"),
    ] {
        let text: String = serde_json::from_str(&rendered(&format!(r#""<{{{{{name}}}}}>""#))).unwrap();
        assert_eq!(text, format!("<{value}>"), "{name}");
    }
}

#[test]
fn everything_but_the_strings_with_placeholders_stays_as_it_was_written() {
    let template = "\n{ \"z\" : 1.50,\"a\":[1e400 , \"\\u00e9\\/\\\\\", \"\\u007b{occurrence}} {{occurrence}}\"],\
                    \"{{occurrence}}\" : {\"\\\"{{name}}\" :null, \"b\":\"{}\"}, \"c\": \"}}\" }";
    let expected = template.replacen("\"\\u007b{occurrence}} {{occurrence}}\"", "\"7 7\"", 1);
    assert_eq!(rendered(template), expected);
}

#[test]
fn four_braces_are_two_braces() {
    for (template, text) in
        [("{{{{", "{{"), ("${{{{ a }}", "${{ a }}"), ("{{{{{{occurrence}}}}", "{{7}}"), ("{ {", "{ {"), ("}}", "}}")]
    {
        assert_eq!(rendered(&serde_json::to_string(template).unwrap()), serde_json::to_string(text).unwrap());
    }
}

#[test]
fn an_error_has_the_place_of_its_string() {
    let found = errors(
        r#"{"a/b~": [1, {"x": "{{text}}"}, ["{{ conversationId"], "{{{occurrence}}}"], "ok": "{{occurrence}}",
            "i": ["{{additionalInfo.missing}}", "{{additionalInfo.a.n.x}}", "{{additionalInfo}}", "{{additionalInfos}}"]}"#,
    );
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/a~1b~0/1/x", "/a~1b~0/2/0", "/a~1b~0/3", "/i/0", "/i/1", "/i/2", "/i/3"]);
    assert_eq!(
        found[0].1,
        "has the unknown placeholder {{text}}; the placeholders are {{conversationText}}, {{conversationId}}, \
         {{scheduledTime}}, {{occurrence}}, {{name}}, {{additionalInfo.x.y}}; write {{{{ for two braces of your own"
    );
    assert_eq!(found[1].1, "has {{ without }} after it; write {{{{ for two braces of your own");
    assert_eq!(found[3].1, "has {{additionalInfo.missing}}, but the additionalInfo has no such value");
    let nothing = TemplateValues { additional_info: None, ..values() };
    assert!(render(r#""{{additionalInfo.a}}""#, &nothing, 100).is_err());
}

#[test]
fn the_size_and_the_number_of_placeholders_are_bounded() {
    let long = "x".repeat(100_000);
    let values = TemplateValues { conversation_text: &long, ..values() };
    let template = |count: usize| serde_json::to_string(&vec!["{{conversationText}}"; count]).unwrap();
    let ten = render(&template(10), &values, usize::MAX).unwrap();
    assert!(render(&template(10), &values, ten.len()).is_ok());
    let too_large = render(&template(10), &values, ten.len() - 1).unwrap_err();
    assert_eq!((too_large.len(), &*too_large[0].pointer), (1, ""));
    assert!(too_large[0].detail.starts_with("would have more than"));
    let one_string = format!("\"{}\"", "{{conversationText}}".repeat(100));
    assert!(render(&one_string, &values, 150_000).is_err());
    let many = |count: usize| render(&format!("\"{}\"", "{{occurrence}}".repeat(count)), &values, 1000);
    assert!(many(100).is_ok());
    assert!(many(101).unwrap_err()[0].detail.contains("100 placeholders"));
}

#[test]
fn no_delivery_has_longer_values_than_the_longest() {
    let longest = TemplateValues::longest("t", None);
    let other = longest.clone().of_conversation(
        "01b8dac2-d400-7000-8000-00000000002a".parse().unwrap(),
        Timestamp::MIN,
        1,
        None,
    );
    for name in ["conversationId", "scheduledTime", "occurrence"] {
        assert!(longest.get(name).unwrap().len() >= other.get(name).unwrap().len(), "{name}");
    }
}

proptest! {
    #[test]
    fn the_result_is_json_of_the_same_shape(text in "(?s).{0,30}", before in "[^{]{0,10}", key in "(?s).{0,10}") {
        let values = TemplateValues { conversation_text: &text, ..values() };
        let template = serde_json::json!({ key.clone(): [format!("{before}{{{{conversationText}}}}"), 1, key.clone()] });
        prop_assume!(!key.contains("{{"));
        let rendered = render(&template.to_string(), &values, MAX_RENDERED).unwrap();
        let expected = serde_json::json!({ key.clone(): [format!("{before}{text}"), 1, key] });
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&rendered).unwrap(), expected);
    }
}
