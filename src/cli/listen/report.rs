//! A delivery as a person reads it.

use http::request::Parts;
use serde_json::Value;

use super::keys::Refusal;
use crate::cli::page::{escaped, line};
use crate::domain::Timestamp;
use crate::text::escape_invisible;

/// The longest part of the request's head that is shown, in bytes.
const MAX_HEADER: usize = 256;

/// The lines on one delivery, without its answer.
pub(super) fn lines(
    head: &Parts,
    body: &[u8],
    arrived: Timestamp,
    verified: &Result<Vec<&'static str>, Refusal>,
) -> String {
    let mut lines = vec![
        line("arrived", &format!("{arrived}  {} {}", head.method, shown(&head.uri.to_string()))),
        line("id", &header(head, "webhook-id").unwrap_or_else(|| "none".to_owned())),
        line("attempt", &attempt(head)),
    ];
    let (label, text) = content(body);
    lines.push(line(label, &text));
    match verified {
        Ok(versions) => lines.push(line("signature", &format!("verifies ({})", versions.join(" and ")))),
        Err(Refusal { reason, advice }) => {
            lines.push(line("signature", &format!("DOES NOT VERIFY: {reason}")));
            lines.push(line("", &format!("→ {advice}")));
        }
    }
    lines.join("\n")
}

fn attempt(head: &Parts) -> String {
    let attempt = header(head, "scheduler-attempt").unwrap_or_else(|| "unknown".to_owned());
    let lateness = header(head, "scheduler-lateness-ms").map(|late| format!(", {late} ms late"));
    let occurrence = header(head, "scheduler-occurrence").map(|number| format!(", occurrence {number}"));
    [Some(attempt), lateness, occurrence].into_iter().flatten().collect()
}

/// The text of the conversation, or the body if it has another form.
fn content(body: &[u8]) -> (&'static str, String) {
    if body.is_empty() {
        return ("body", "empty".to_owned());
    }
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let text =
        ["/conversationText", "/data/conversationText"].into_iter().find_map(|path| parsed.pointer(path)?.as_str());
    let (label, text) = match text {
        Some(text) => ("text", text.to_owned()),
        None => ("body", String::from_utf8_lossy(body).into_owned()),
    };
    (label, escaped(&text))
}

fn header(head: &Parts, name: &str) -> Option<String> {
    head.headers.get(name).map(|value| shown(&String::from_utf8_lossy(value.as_bytes())))
}

fn shown(text: &str) -> String {
    escape_invisible(text, MAX_HEADER).0
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::delivery::Unverified;

    const ARRIVED: Timestamp = Timestamp::from_millis(1_614_265_330_999);

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::post("/hook"), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_delivery_has_a_line_for_each_thing_that_a_developer_looks_for() {
        let head = head(&[
            ("webhook-id", "01a2"),
            ("scheduler-attempt", "2"),
            ("scheduler-lateness-ms", "7"),
            ("scheduler-occurrence", "3"),
        ]);
        let body = br#"{"conversationText":"one\ntwo"}"#;
        let expected = "\
arrived    2021-02-25T15:02:10.999Z  POST /hook
id         01a2
attempt    2, 7 ms late, occurrence 3
text       one
           two
signature  verifies (v1 and v1a)";
        assert_eq!(lines(&head, body, ARRIVED, &Ok(vec!["v1", "v1a"])), expected);
    }

    #[test]
    fn what_does_not_verify_has_a_reason_and_advice() {
        let refusal = Refusal { reason: Unverified::MissingHeader("webhook-id"), advice: "Do this.".to_owned() };
        let expected = "\
arrived    2021-02-25T15:02:10.999Z  POST /hook
id         none
attempt    unknown
body       hello
signature  DOES NOT VERIFY: the header webhook-id is missing
           → Do this.";
        assert_eq!(lines(&head(&[]), b"hello", ARRIVED, &Err(refusal)), expected);
    }

    #[test]
    fn the_text_is_found_in_a_cloud_event_and_cannot_control_the_terminal() {
        assert_eq!(content(br#"{"data":{"conversationText":"a"}}"#), ("text", "a".to_owned()));
        assert_eq!(content(b"\x1b[2Ja"), ("body", "\\u{1b}[2Ja".to_owned()));
        assert_eq!(content(b""), ("body", "empty".to_owned()));
        let long = content(&[b'a'; 4097]).1;
        assert!(long.ends_with("… (4097 bytes)"), "{long}");
    }
}
