use std::io::{self, Write};
use std::panic;
use std::sync::{Arc, Mutex};
use std::thread;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tracing::field::{Empty, display};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::format::Format;
use super::layer::LogLayer;
use super::{format_of, log_panic};
use crate::config::{LogFormat, TelemetryConfig};
use crate::domain::Timestamp;
use crate::json::members;
use crate::text::is_invisible;
use crate::time::Clock;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2030-01-31T08:30:00.007Z").unwrap()
    }
}

/// What the function logs.
fn logged(format: Format, log: impl FnOnce()) -> String {
    let written = Written::default();
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(format, Stopped, written.clone()));
    tracing::subscriber::with_default(subscriber, log);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// The only line that the function logs, as JSON. A name that it has twice is an error.
fn object(log: impl FnOnce()) -> Map<String, Value> {
    let text = logged(Format::Json, log);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let (members, read) = members::read(text.as_bytes());
    assert!(read.is_ok(), "{read:?}: {text}");
    let mut object = Map::new();
    for member in members {
        let value = serde_json::from_str(member.value.unwrap().get()).unwrap();
        assert!(object.insert(member.name, value).is_none(), "a name twice: {text}");
    }
    object
}

#[test]
fn a_line_is_one_json_object_with_all_fields_at_its_top() {
    let line = object(|| {
        let missing: Option<u32> = None;
        let (flag, text) = (true, "a text");
        tracing::warn!(conversation.id = %"an-id", number = 7, ratio = 0.5, flag, text, missing, listed = ?[1, 2], "said");
    });
    let expected = json!({
        "time": "2030-01-31T08:30:00.007Z", "level": "WARN", "message": "said", "conversation.id": "an-id", "number": 7,
        "ratio": 0.5, "flag": true, "text": "a text", "listed": "[1, 2]", "target": "mcp_scheduler::telemetry::tests",
    });
    assert_eq!(Value::Object(line), expected);
}

#[test]
fn a_line_has_the_fields_of_the_spans_around_it_and_the_innermost_wins() {
    let line = object(|| {
        let outer = tracing::error_span!("outer", a = "outer", b = "outer", c = "outer", later = Empty, never = Empty);
        let _outer = outer.enter();
        let inner = tracing::error_span!("inner", b = "inner", c = "inner");
        let _inner = inner.enter();
        outer.record("later", "first");
        outer.record("later", display("second"));
        tracing::info!(c = "event", "said");
    });
    let fields = ["a", "b", "c", "later"].map(|name| line[name].as_str().unwrap());
    assert_eq!((fields, line.contains_key("never")), (["outer", "inner", "event", "second"], false));
}

#[test]
fn a_field_of_another_crate_cannot_replace_the_time_the_level_or_the_target() {
    let line = object(|| tracing::info!(time = 1, level = "x", target = "x", "said"));
    assert_eq!((&line["level"], &line["message"], line.len()), (&json!("INFO"), &json!("said"), 4));
}

#[test]
fn a_number_that_json_does_not_have_is_a_text() {
    let line = object(|| tracing::info!(a = f64::INFINITY, b = u128::MAX, "said"));
    assert_eq!(line["a"], "inf");
}

#[test]
fn a_panic_is_one_line() {
    let before = Arc::new(panic::take_hook());
    let (own, others) = (thread::current().id(), Arc::clone(&before));
    panic::set_hook(Box::new(move |info| if thread::current().id() == own { log_panic(info) } else { others(info) }));
    let line = object(|| assert!(panic::catch_unwind(|| panic!("first\nsecond {}", "line")).is_err()));
    panic::set_hook(Box::new(move |info| before(info)));
    assert_eq!((&line["level"], &line["exception.message"]), (&json!("ERROR"), &json!("first\nsecond line")));
    assert_eq!(line["code.file.path"], file!());
    assert!(line["code.line.number"].is_u64());
}

#[test]
fn a_person_sees_the_time_the_level_the_message_and_the_fields() {
    let log = || {
        let span = tracing::error_span!("request", operation = "ready");
        span.in_scope(|| tracing::warn!(duration_ms = 1.5, text = "two words", empty = "", "a \"quoted\" message"));
        tracing::info!(target: "hyper::proto", "other");
    };
    assert_eq!(
        logged(Format::Human { colour: false }, log),
        "08:30:00.007 WARN  a \"quoted\" message duration_ms=1.5 text=\"two words\" empty=\"\" operation=ready\n\
         08:30:00.007 INFO  other target=hyper::proto\n"
    );
    assert_eq!(
        logged(Format::Human { colour: true }, || tracing::error!(a = 1, "said")),
        "\u{1b}[2m08:30:00.007\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m said \u{1b}[2ma=\u{1b}[0m1\n"
    );
}

#[test]
fn colours_are_for_a_terminal_without_no_color() {
    let format = |format, colour, is_terminal| {
        format_of(
            &TelemetryConfig { log: "info".parse().unwrap(), is_log_set: true, format, colour, otlp_endpoint: None },
            is_terminal,
        )
    };
    let (coloured, plain) = (Format::Human { colour: true }, Format::Human { colour: false });
    for (setting, no_color, is_terminal, expected) in [
        (LogFormat::Auto, false, true, coloured),
        (LogFormat::Auto, true, true, plain),
        (LogFormat::Auto, false, false, Format::Json),
        (LogFormat::Human, false, true, coloured),
        (LogFormat::Human, true, true, plain),
        (LogFormat::Human, false, false, plain),
        (LogFormat::Json, false, true, Format::Json),
    ] {
        assert_eq!(format(setting, !no_color, is_terminal), expected, "{setting:?} {no_color} {is_terminal}");
    }
}

#[test]
fn each_character_of_ascii_that_is_shown_comes_back_from_json() {
    for character in ' '..='~' {
        let text = format!("a{character}b");
        let line = object(|| tracing::info!(text, "{text}"));
        assert_eq!((&line["text"], &line["message"]), (&json!(text), &json!(text)));
    }
}

#[test]
fn a_control_character_is_written_as_an_escape_in_both_forms() {
    let hostile = "a\r\n\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{e0041}\0";
    let escaped = r"a\r\n\u001b[2J\u009b31m\u202e\u2028\udb40\udc41\u0000";
    for format in [Format::Json, Format::Human { colour: false }] {
        let text = logged(format, || {
            let _span = tracing::error_span!("span", in_span = hostile).entered();
            tracing::info!(shown = hostile, displayed = %hostile, debugged = ?[hostile], "{hostile}");
        });
        // The message, the two fields, and the field of the span. `Debug` has escapes of its own.
        assert_eq!(text.matches(escaped).count(), 4, "{text}");
    }
}

proptest! {
    #[test]
    fn every_text_comes_back_from_json_and_no_form_has_a_hidden_character(
        text in prop::collection::vec(any::<char>(), 0..60)
    ) {
        let text: String = text.into_iter().collect();
        let line = object(|| tracing::info!(value = text, "{text}"));
        prop_assert_eq!((&line["value"], &line["message"]), (&json!(text), &json!(text)));
        for format in [Format::Json, Format::Human { colour: false }] {
            let shown = logged(format, || tracing::info!(value = text, "{text}"));
            prop_assert!(!shown.trim_end_matches('\n').chars().any(is_invisible), "{}", shown);
        }
    }
}
