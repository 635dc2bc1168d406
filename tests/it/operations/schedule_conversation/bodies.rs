//! Bodies with one mistake each, and similar bodies that are valid.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;

const KIB: usize = 1024;

/// The text of a valid request with more members, which may be duplicates or invalid JSON.
fn with(members: &str) -> String {
    let good = conversation(json!({})).to_string();
    format!("{},{members}}}", good.strip_suffix('}').unwrap())
}

/// The text of a valid request with one member written in another way.
fn instead(name: &str, spelling: &str) -> String {
    let mut request = conversation(json!({}));
    request.as_object_mut().unwrap().remove(name).unwrap();
    let rest = request.to_string();
    format!("{},\"{name}\":{spelling}}}", rest.strip_suffix('}').unwrap())
}

async fn assert_points(client: &ApiClient, body: String, pointer: &str) {
    let answer = client.schedule_raw(body.clone()).await;
    assert_eq!(answer.status, 400, "{} for {body:.200}", answer.text);
    assert_eq!(answer.pointers(), [pointer], "{} for {body:.200}", answer.text);
}

#[tokio::test]
async fn an_unknown_member_is_pointed_at() {
    let app = TestApp::start().await;
    for (members, pointer) in [
        (r#""endpiont":"https://example.com/""#, "/endpiont"),
        (r#""conversation_text":"x""#, "/conversation_text"),
        (r#""conversationtext":"x""#, "/conversationtext"),
        (r#""a/b~c":1"#, "/a~1b~0c"),
        (r#""":1"#, "/"),
        (r#""\u0000":1"#, "/\u{0}"),
        (r#""__proto__":{}"#, "/__proto__"),
        (r#""deep":{"a":{"a":[{"a":1}]}}"#, "/deep"),
        (r#""retry":{"maxAttemps":3}"#, "/retry/maxAttemps"),
        (r#""retry":{"maxAttempts":3,"backoff":{"x":1}}"#, "/retry/backoff"),
    ] {
        assert_points(&app.client(), with(members), pointer).await;
    }
}

#[tokio::test]
async fn a_member_written_twice_is_pointed_at() {
    let app = TestApp::start().await;
    for (members, pointer) in [
        (r#""conversationText":"other""#, "/conversationText"),
        (r#""scheduledTime":null"#, "/scheduledTime"),
        (r#""endp\u006fint":"https://example.com/hook""#, "/endpoint"),
        (r#""method":"POST","method":"POST""#, "/method"),
        (r#""headers":{},"headers":{}"#, "/headers"),
        (r#""headers":{"X-A":"1","X-A":"2"}"#, "/headers"),
        (r#""additionalInfo":1,"additionalInfo":1"#, "/additionalInfo"),
        (r#""additionalInfo":[{"a":{"b":1,"\u0062":2}}]"#, "/additionalInfo"),
        (r#""format":"json","format":"text""#, "/format"),
        (r#""retry":{},"retry":{}"#, "/retry"),
        (r#""retry":{"maxAttempts":3,"maxAttempts":3}"#, "/retry/maxAttempts"),
        (r#""timeoutSeconds":1,"timeoutSeconds":1"#, "/timeoutSeconds"),
    ] {
        assert_points(&app.client(), with(members), pointer).await;
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_pointed_at() {
    let app = TestApp::start().await;
    let client = app.client();
    for wrong in ["1", "true", "[]", "{}", r#"["hello"]"#] {
        for name in ["conversationText", "scheduledTime", "endpoint"] {
            assert_points(&client, instead(name, wrong), &format!("/{name}")).await;
        }
        for name in ["method", "format"] {
            assert_points(&client, with(&format!("\"{name}\":{wrong}")), &format!("/{name}")).await;
        }
        assert_points(&client, with(&format!(r#""headers":{{"X-A":{wrong}}}"#)), "/headers/X-A").await;
    }
    for (members, pointer) in [
        (r#""headers":{"X-A":"1","X-B":null}"#, "/headers/X-B"),
        (r#""headers":{"X/A~b":{"x":1}}"#, "/headers/X~1A~0b"),
        (r#""headers":"X-A: 1""#, "/headers"),
        (r#""headers":[["X-A","1"]]"#, "/headers"),
        (r#""retry":3"#, "/retry"),
        (r#""retry":"3""#, "/retry"),
        (r#""retry":[]"#, "/retry"),
        (r#""retry":[3]"#, "/retry"),
    ] {
        assert_points(&client, with(members), pointer).await;
    }
}

#[tokio::test]
async fn a_number_that_is_malformed_or_out_of_range_is_pointed_at() {
    let app = TestApp::start().await;
    let client = app.client();
    for wrong in ["\"30\"", "30.5", "-1", "0", "61", "1e400", "-1e400", "4294967297", "99999999999999999999", "true"] {
        assert_points(&client, with(&format!(r#""timeoutSeconds":{wrong}"#)), "/timeoutSeconds").await;
        assert_points(&client, with(&format!(r#""retry":{{"maxAttempts":{wrong}}}"#)), "/retry/maxAttempts").await;
    }
    for (timeout, attempts) in [(1, 1), (60, 20)] {
        let good = json!({ "timeoutSeconds": timeout, "retry": { "maxAttempts": attempts } });
        assert_eq!(client.schedule(good).await.status, 200);
    }
}

#[tokio::test]
async fn half_a_character_is_pointed_at_in_every_text() {
    let app = TestApp::start().await;
    let client = app.client();
    for half in [r#""\ud800""#, r#""\udc00""#, r#""a\ud800\u0041""#, r#""\uD83D\uD83D""#] {
        for name in ["conversationText", "scheduledTime", "endpoint"] {
            assert_points(&client, instead(name, half), &format!("/{name}")).await;
        }
        for name in ["method", "format", "additionalInfo"] {
            assert_points(&client, with(&format!("\"{name}\":{half}")), &format!("/{name}")).await;
        }
        assert_points(&client, with(&format!(r#""headers":{{"X-A":{half}}}"#)), "/headers/X-A").await;
    }
}

#[tokio::test]
async fn a_nul_is_pointed_at_in_every_text() {
    let app = TestApp::start().await;
    let client = app.client();
    for (body, pointer) in [
        (instead("conversationText", r#""a\u0000""#), "/conversationText"),
        (instead("scheduledTime", r#""2035-06-01T12:00:00Z\u0000""#), "/scheduledTime"),
        (instead("endpoint", r#""https://example.com/\u0000""#), "/endpoint"),
        (with(r#""method":"POST\u0000""#), "/method"),
        (with(r#""format":"json\u0000""#), "/format"),
        (with(r#""headers":{"X-A":"\u0000"}"#), "/headers"),
        (with(r#""headers":{"X-A\u0000":"1"}"#), "/headers"),
    ] {
        assert_points(&client, body, pointer).await;
    }
    let opaque = with(r#""additionalInfo":"a\u0000""#);
    assert_eq!(client.schedule_raw(opaque).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed_json() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = conversation(json!({})).to_string();
    for bad in [
        "",
        " ",
        "{",
        "nul",
        "'a'",
        "{'a':1}",
        r#"{"conversationText"}"#,
        &with(""),
        &with("\"format\""),
        &with("// nothing"),
        &format!("{good}{good}"),
        &format!("{good},"),
        &format!("{good}\0"),
        &format!("\u{feff}\u{feff}{good}"),
        &format!("{good}\u{feff}"),
    ] {
        let answer = client.schedule_raw(bad.to_owned()).await;
        answer.assert_problem(400, "malformed-json");
        assert!(answer.pointers().is_empty(), "{} for {bad}", answer.text);
    }
    golden::check("problem-malformed-json", &client.schedule_raw("{").await.json());
    for whitespace in ["\n", "\r\n\t ", &" ".repeat(1000)] {
        assert_eq!(client.schedule_raw(format!("{whitespace}{good}{whitespace}")).await.status, 200);
    }
}

#[tokio::test]
async fn a_value_that_is_not_json_is_pointed_at() {
    let app = TestApp::start().await;
    let client = app.client();
    for bad in ["NaN", "-Infinity", "0x1e", "030", "+30", "30.", ".5", "tru", "\"\\x41\"", "\"a\nb\""] {
        let answer = client.schedule_raw(with(&format!(r#""timeoutSeconds":{bad}"#))).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.pointers().iter().all(|p| p == "/timeoutSeconds"), "{} for {bad}", answer.text);
    }
    let mut latin1 = instead("conversationText", "\"h#llo\"").into_bytes();
    let at = latin1.iter().position(|b| *b == b'#').unwrap();
    latin1[at] = 0xe9;
    let answer = client.schedule_raw(latin1).await;
    answer.assert_invalid(&["/conversationText"]);
}

#[tokio::test]
async fn the_body_is_an_object() {
    let app = TestApp::start().await;
    let client = app.client();
    let list = json!(["hello", "2035-06-01T12:00:00Z", "https://example.com/", null, null, null, null, null, null]);
    for bad in ["null", "true", "0", "\"{}\"", "[]", "[{}]", &list.to_string()] {
        let answer = client.schedule_raw(bad.to_owned()).await;
        assert_eq!(answer.status, 400, "{} for {bad}", answer.text);
        assert!(answer.text.contains("object"), "{} for {bad}", answer.text);
    }
}

#[tokio::test]
async fn the_text_may_have_192_kib_and_no_byte_more() {
    let app = TestApp::start().await;
    let client = app.client();
    for (text, status) in [
        ("x".repeat(192 * KIB), 200),
        ("é".repeat(96 * KIB), 200),
        ("x".repeat(192 * KIB + 1), 400),
        ("é".repeat(96 * KIB) + "x", 400),
    ] {
        let answer = client.schedule(json!({ "conversationText": text })).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(status == 200 || answer.pointers() == ["/conversationText"], "{}", answer.text);
    }
}

/// Each byte of a text as an escape of six bytes.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn the_limits_hold_for_the_decoded_text_however_a_client_escapes_it() {
    let app = TestApp::start().await;
    let client = app.client();
    // Everything of a request at its limit, and every byte of it escaped.
    let headers: Vec<_> =
        ["A", "B", "C", "D"].map(|name| format!("\"{}\":\"{}\"", escaped(name), escaped(&"h".repeat(4095)))).into();
    let endpoint = format!("https://example.com/{}", "e".repeat(2048 - 20));
    let request = |text: &str, info: usize| {
        format!(
            r#"{{"conversationText":"{}","scheduledTime":"{}","endpoint":"{}","headers":{{{}}},"additionalInfo":"{}"}}"#,
            escaped(text),
            escaped("2035-06-01T12:00:00Z"),
            escaped(&endpoint),
            headers.join(","),
            "i".repeat(info),
        )
    };
    let longest = "x".repeat(192 * KIB);
    let fits = request(&longest, 16 * KIB - 2);
    assert!(fits.len() > 1250 * KIB, "{}", fits.len());
    let scheduled = client.schedule_raw(fits.clone()).await;
    assert_eq!(scheduled.status, 200, "{}", scheduled.text);
    let shown = client.status(scheduled.json()["conversationId"].as_str().unwrap()).await.json();
    assert_eq!((&shown["conversationText"], &shown["endpoint"]), (&json!(longest), &json!(endpoint)));

    let one_more = client.schedule_raw(request(&(longest + "x"), 0)).await;
    one_more.assert_invalid(&["/conversationText"]);
    assert!(
        one_more.text.contains("has 196609 bytes of UTF-8; at most 196608 bytes are accepted"),
        "{}",
        one_more.text
    );

    let message = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"scheduleConversation","arguments":{fits}}}}}"#
    );
    let called = Answer::to(client.mcp_request(&json!(null)).await.body(message)).await;
    assert_eq!(called.json()["result"]["structuredContent"]["status"], "Scheduled", "{}", called.text);
}

#[tokio::test]
async fn additional_info_may_have_16_kib_and_32_levels() {
    let app = TestApp::start().await;
    let client = app.client();
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let objects = |levels: usize| r#"{"a":"#.repeat(levels) + "1" + &"}".repeat(levels);
    for good in [text(16 * KIB), deep(32), objects(32), "null".to_owned(), "-0".to_owned(), "1E5".to_owned()] {
        let answer = client.schedule_raw(with(&format!(r#""additionalInfo":{good}"#))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let id = answer.json()["conversationId"].as_str().unwrap().to_owned();
        let shown = client.status(&id).await.text;
        assert!(shown.contains(&format!(r#""additionalInfo":{good}"#)), "to the letter: {shown}");
    }
    for bad in [text(16 * KIB + 1), deep(33), objects(33), deep(7000), deep(100_000), "1e400".to_owned()] {
        assert_points(&client, with(&format!(r#""additionalInfo":{bad}"#)), "/additionalInfo").await;
    }
}

#[tokio::test]
async fn an_error_is_short_however_long_its_cause() {
    let app = TestApp::start().await;
    let client = app.client();
    let long = "x".repeat(100 * KIB);
    let odd: Vec<_> = (0..32).map(|i| format!("\"{}{i}\":\"\"", "\\u0001".repeat(100))).collect();
    for body in [
        with(&format!("\"{long}\":1")),
        with(&format!("\"retry\":{{\"{long}\":1}}")),
        with(&format!("\"headers\":{{\"{long}\":1}}")),
        with(&format!("\"headers\":{{\"{long}\":\"1\"}}")),
        with(&format!("\"headers\":{{{}}}", odd.join(","))),
        with(&format!("\"method\":\"{long}\"")),
        with(&format!("\"additionalInfo\":{{\"{0}\":1,\"{0}\":1}}", &long[..8000])),
        instead("scheduledTime", &format!("\"{long}\"")),
        instead("endpoint", &format!("\"{long}\"")),
    ] {
        let answer = client.schedule_raw(body).await;
        assert_eq!(answer.status, 400, "its length is checked in Answer::check");
    }
}

#[tokio::test]
async fn an_error_never_repeats_a_value() {
    let app = TestApp::start().await;
    let client = app.client();
    let canaries =
        ["canary", "canary at line 1 column 2", "canary, expected canary", "canary` at line canary, expected"];
    for canary in canaries {
        for body in [
            with(&format!(r#""headers":"{canary}""#)),
            with(&format!(r#""headers":["{canary}"]"#)),
            with(&format!(r#""headers":{{"Authorization":"{canary}\u0000"}}"#)),
            with(&format!(r#""headers":{{"Authorization":["{canary}"]}}"#)),
            with(&format!(r#""headers":{{"Authorization":"{canary}\ud800"}}"#)),
            with(&format!(r#""headers":{{"Host":"{canary}"}}"#)),
            with(&format!(r#""headers":{{"X-A":"{canary}","x-a":"{canary}"}}"#)),
            with(&format!(r#""retry":"{canary}""#)),
            with(&format!(r#""timeoutSeconds":"{canary}""#)),
            with(&format!(r#""method":"{canary}""#)),
            with(&format!(r#""additionalInfo":"{canary}\ud800""#)),
            instead("endpoint", &format!(r#""https://user:{canary}@example.com/""#)),
            instead("endpoint", &format!(r#""ftp://{canary}/""#)),
            instead("conversationText", &format!(r#""{canary}\u0000""#)),
            format!("\"{canary}\""),
        ] {
            let answer = client.schedule_raw(body.clone()).await;
            assert_eq!(answer.status, 400, "{body}");
            assert!(!answer.text.contains("canary"), "{} for {body}", answer.text);
        }
    }
}
