//! Questions to the person: the time zone that nobody has said, and a host that nobody has confirmed.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::support::app::{BareApi, TestApp};
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::golden;
use crate::support::login::MovableClock;
use crate::support::mcp_wire::{Returned, newest, older};

/// A time of day without an offset, which is in the future everywhere.
const WALL: &str = "2035-01-31T09:30";
const HOST: &str = "hooks.example.com";

const SCHEDULE: &str = "scheduleConversation";
const NAMED: &str = "scheduleNamedConversation";
const UPDATE: &str = "updateConversation";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn forms() -> Value {
    json!({ "elicitation": { "form": {} } })
}

/// Calls a tool for a program with these capabilities. `extra` are more members of the params.
async fn call_as(client: &ApiClient, capabilities: Value, tool: &str, arguments: &Value, extra: &Value) -> Value {
    let mut message = newest("tools/call", json!({ "name": tool, "arguments": arguments }));
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    message["params"].as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let answer = client.mcp(message).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// A call of a program that can show forms.
async fn call(client: &ApiClient, tool: &str, arguments: &Value, extra: &Value) -> Value {
    call_as(client, forms(), tool, arguments, extra).await
}

/// The first call, before anything was asked.
async fn first(client: &ApiClient, tool: &str, arguments: &Value) -> Value {
    call(client, tool, arguments, &json!({})).await
}

/// The questions of a response, by name, with its state.
#[track_caller]
fn asked(response: &Value) -> (Vec<(String, String)>, Value) {
    let result = &response["result"];
    assert_eq!(result["resultType"], "input_required", "{response}");
    let questions = result["inputRequests"].as_object().unwrap().iter().map(|(name, request)| {
        assert_eq!((&request["method"], &request["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
        (name.clone(), request["params"]["message"].as_str().unwrap().to_owned())
    });
    (questions.collect(), result["requestState"].clone())
}

#[track_caller]
fn names(response: &Value) -> Vec<String> {
    asked(response).0.into_iter().map(|(name, _)| name).collect()
}

/// The members with which a program repeats its call.
fn answers(state: &Value, responses: &Value) -> Value {
    json!({ "inputResponses": responses, "requestState": state })
}

fn zone(name: &str) -> Value {
    json!({ "timeZone": { "action": "accept", "content": { "timeZone": name } } })
}

fn confirmed() -> Value {
    json!({ "endpoint": { "action": "accept", "content": {} } })
}

fn to(host: &str, overrides: Value) -> Value {
    let mut arguments = conversation(overrides);
    arguments["endpoint"] = json!(format!("https://{host}/hook"));
    arguments
}

/// A conversation of the inbox, which has no host.
fn waiting(overrides: Value) -> Value {
    let mut arguments = conversation(overrides);
    arguments["endpoint"] = json!(null);
    arguments["deliver"] = json!("inbox");
    arguments
}

async fn scheduled(client: &ApiClient) -> usize {
    client.list("").await.json()["conversations"].as_array().unwrap().len()
}

/// Confirms this host for the client.
async fn confirm(client: &ApiClient, host: &str) {
    let arguments = to(host, json!({}));
    let (_, state) = asked(&first(client, SCHEDULE, &arguments).await);
    let accepted = call(client, SCHEDULE, &arguments, &answers(&state, &confirmed())).await;
    assert!(!Returned::of(&accepted).is_error, "{accepted}");
}

#[tokio::test]
async fn a_time_without_a_zone_is_asked_for_and_the_answer_counts_as_if_it_had_been_given() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(waiting(json!({}))).await;
    let yearly = json!({ "cron": "30 9 31 1 *" });
    let with_null = waiting(json!({ "scheduledTime": WALL, "timeZone": null }));
    for (tool, arguments, of) in [
        (SCHEDULE, waiting(json!({ "scheduledTime": WALL })), WALL),
        (SCHEDULE, with_null, WALL),
        (NAMED, waiting(json!({ "scheduledTime": WALL, "name": "daily" })), WALL),
        (UPDATE, json!({ "conversationId": id, "scheduledTime": WALL }), WALL),
        (SCHEDULE, waiting(json!({ "scheduledTime": null, "recurrence": yearly })), "the recurrence 30 9 31 1 *"),
    ] {
        let before = scheduled(&client).await;
        let response = first(&client, tool, &arguments).await;
        let (questions, state) = asked(&response);
        let question = format!("Which time zone is {of} in?");
        assert_eq!(questions, [("timeZone".to_owned(), question)], "{tool}");
        assert_eq!(scheduled(&client).await, before, "{tool} has only asked");
        let answered = call(&client, tool, &arguments, &answers(&state, &zone(" Europe/Berlin "))).await;
        let returned = Returned::of(&answered);
        let shown = &returned.structured;
        assert!(!returned.is_error && shown["notes"].as_array().is_none_or(Vec::is_empty), "{tool}: {returned:?}");
        assert!(shown["scheduledTime"].as_str().unwrap().ends_with("T08:30:00.000Z"), "{tool}: {shown}");
    }
    let both = to(HOST, json!({ "scheduledTime": WALL }));
    let mut shown = first(&client, SCHEDULE, &both).await["result"].clone();
    shown["requestState"] = json!("…");
    golden::check("mcp-elicitation", &shown);
}

#[tokio::test]
async fn a_zone_that_does_not_exist_gets_the_usual_error() {
    let app = TestApp::start().await;
    let client = app.client();
    let arguments = waiting(json!({ "scheduledTime": WALL }));
    let (_, state) = asked(&first(&client, SCHEDULE, &arguments).await);
    let wrong = call(&client, SCHEDULE, &arguments, &answers(&state, &zone("Europe/Berlim"))).await;
    let returned = Returned::of(&wrong);
    assert!(returned.is_error && returned.text.contains("Europe/Berlin"), "{returned:?}");
    // An answer that says nothing is none.
    for nothing in [json!({}), json!({ "timeZone": { "action": "accept" } }), json!({ "timeZone": 7 }), zone(" ")] {
        let again = call(&client, SCHEDULE, &arguments, &answers(&state, &nothing)).await;
        assert_eq!(names(&again), ["timeZone"], "{nothing}");
    }
    assert_eq!(scheduled(&client).await, 0);
}

#[tokio::test]
async fn a_person_who_declines_schedules_nothing_and_the_error_says_what_to_do() {
    let app = TestApp::start().await;
    let client = app.client();
    let both = to(HOST, json!({ "scheduledTime": WALL }));
    let (_, state) = asked(&first(&client, SCHEDULE, &both).await);
    for action in ["decline", "cancel"] {
        let no = json!({ "action": action });
        let mut refusals = json!({ "timeZone": no, "endpoint": no });
        let returned = Returned::of(&call(&client, SCHEDULE, &both, &answers(&state, &refusals)).await);
        for part in ["- timeZone is missing", "UTC offset", "- endpoint was not confirmed"] {
            assert!(returned.is_error && returned.text.contains(part), "{part}: {returned:?}");
        }
        refusals["timeZone"] = zone("Europe/Berlin")["timeZone"].clone();
        let returned = Returned::of(&call(&client, SCHEDULE, &both, &answers(&state, &refusals)).await);
        assert!(returned.is_error && !returned.text.contains("timeZone"), "{returned:?}");
    }
    assert_eq!(scheduled(&client).await, 0);
    // What was declined is not remembered.
    assert_eq!(names(&first(&client, SCHEDULE, &both).await), ["endpoint", "timeZone"]);
}

#[tokio::test]
async fn a_new_host_is_asked_for_once_for_each_client() {
    let app = TestApp::start().await;
    let (client, other) = (app.client(), app.other_client());
    let arguments = to(HOST, json!({}));
    let (questions, _) = asked(&first(&client, SCHEDULE, &arguments).await);
    assert!(questions[0].1.starts_with("Send to hooks.example.com? "), "{questions:?}");
    confirm(&client, HOST).await;
    for (tool, arguments) in [
        (SCHEDULE, to("hooks.example.com:8443", json!({ "onFailed": { "endpoint": "https://HOOKS.example.com/x" } }))),
        (NAMED, to(HOST, json!({ "name": "daily" }))),
    ] {
        let returned = Returned::of(&first(&client, tool, &arguments).await);
        assert!(!returned.is_error, "{tool}: {returned:?}");
    }
    assert_eq!(names(&first(&other, SCHEDULE, &arguments).await), ["endpoint"]);
    for host in ["example.com", "sub.hooks.example.com"] {
        let response = first(&client, SCHEDULE, &to(host, json!({}))).await;
        assert_eq!(names(&response), ["endpoint"], "{host}");
    }
}

#[tokio::test]
async fn no_other_way_of_these_tools_leads_to_a_host_that_nobody_has_confirmed() {
    let app = TestApp::start().await;
    let client = app.client();
    confirm(&client, HOST).await;
    let elsewhere = json!({ "endpoint": "https://news.example.com/" });
    let id = client.scheduled(json!({ "endpoint": "https://old.example.com/" })).await;
    for (tool, arguments) in [
        (SCHEDULE, to(HOST, json!({ "onFailed": elsewhere }))),
        (SCHEDULE, to(HOST, json!({ "onCompleted": elsewhere }))),
        (NAMED, to("news.example.com", json!({ "name": "daily" }))),
        (UPDATE, json!({ "conversationId": id, "endpoint": elsewhere["endpoint"] })),
        (UPDATE, json!({ "conversationId": id, "onFailed": elsewhere })),
    ] {
        let (questions, _) = asked(&first(&client, tool, &arguments).await);
        let [(_, question)] = &questions[..] else { panic!("{questions:?}") };
        assert!(question.starts_with("Send to news.example.com? "), "{tool}: {question}");
    }
    let two = to("b.example.com", json!({ "onFailed": elsewhere }));
    let (questions, _) = asked(&first(&client, SCHEDULE, &two).await);
    assert!(questions[0].1.starts_with("Send to b.example.com and to news.example.com? "), "{questions:?}");
    // What a change leaves as it is, nobody is asked for.
    let kept =
        json!({ "conversationId": id, "endpoint": "https://old.example.com/other", "conversationText": "other" });
    assert!(!Returned::of(&first(&client, UPDATE, &kept).await).is_error);
}

#[tokio::test]
async fn both_questions_are_in_one_result_and_wait_for_both_answers() {
    let app = TestApp::start().await;
    let client = app.client();
    let both = to(HOST, json!({ "scheduledTime": WALL }));
    let (questions, state) = asked(&first(&client, SCHEDULE, &both).await);
    assert_eq!(questions.len(), 2, "{questions:?}");
    let mut accepted = zone("America/New_York");
    let half = call(&client, SCHEDULE, &both, &answers(&state, &accepted)).await;
    assert_eq!(names(&half), ["endpoint", "timeZone"]);
    accepted["endpoint"] = confirmed()["endpoint"].clone();
    for _ in 0..2 {
        // The second time the host is confirmed already, as when the result of the first was lost.
        let returned = Returned::of(&call(&client, SCHEDULE, &both, &answers(&state, &accepted)).await);
        assert_eq!(returned.structured["scheduledTime"], "2035-01-31T14:30:00.000Z", "{returned:?}");
    }
}

#[tokio::test]
async fn an_answer_counts_only_for_what_the_person_saw() {
    let app = TestApp::start().await;
    let (client, other) = (app.client(), app.other_client());
    let shown = to(HOST, json!({ "scheduledTime": WALL }));
    let (_, state) = asked(&first(&client, SCHEDULE, &shown).await);
    let mut accepted = zone("Europe/Berlin");
    accepted["endpoint"] = confirmed()["endpoint"].clone();
    let later = to(HOST, json!({ "scheduledTime": "2035-01-31T09:31" }));
    let elsewhere = to("evil.example.com", json!({ "scheduledTime": WALL }));
    let mut named = shown.clone();
    named["name"] = json!("daily");
    for (what, caller, tool, arguments, extra) in [
        ("another time", &client, SCHEDULE, &later, answers(&state, &accepted)),
        ("another host", &client, SCHEDULE, &elsewhere, answers(&state, &accepted)),
        ("another tool", &client, NAMED, &named, answers(&state, &accepted)),
        ("another client", &other, SCHEDULE, &shown, answers(&state, &accepted)),
        ("no state", &client, SCHEDULE, &shown, json!({ "inputResponses": accepted })),
        ("no answers", &client, SCHEDULE, &shown, json!({ "requestState": state })),
    ] {
        assert_eq!(asked(&call(caller, tool, arguments, &extra).await).0.len(), 2, "{what}");
    }
    // The question about the time does not name the client.
    let time = waiting(json!({ "scheduledTime": WALL }));
    let (_, of_client) = asked(&first(&client, SCHEDULE, &time).await);
    let stolen = call(&other, SCHEDULE, &time, &answers(&of_client, &zone("Europe/Berlin"))).await;
    assert_eq!(names(&stolen), ["timeZone"]);
    let genuine = state.as_str().unwrap();
    let mut changed = genuine.to_owned().into_bytes();
    changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let forged = ["", "é", "dcr_AAAA", &changed, &genuine[1..], &genuine[..genuine.len() - 1], &"A".repeat(100_000)];
    for forged in forged {
        let response = call(&client, SCHEDULE, &shown, &answers(&json!(forged), &accepted)).await;
        assert_eq!(response["error"]["code"], -32602, "{forged:.40}");
    }
    assert_eq!((scheduled(&client).await, scheduled(&other).await), (0, 0));
}

#[tokio::test]
async fn a_question_is_open_for_ten_minutes_and_a_host_is_confirmed_for_ninety_days() {
    let clock = Arc::new(MovableClock::starting_at(SystemClock.now()));
    let api = BareApi { clock: Arc::clone(&clock) as _, ..BareApi::new() }.start().await;
    let arguments = to(HOST, json!({ "scheduledTime": null, "delay": "5m" }));
    let client = api.client();
    for (pause, is_taken) in [(10 * MINUTE, false), ((10 * MINUTE).saturating_sub(SECOND), true)] {
        let (_, state) = asked(&first(&client, SCHEDULE, &arguments).await);
        clock.advance(pause);
        let response = call(&client, SCHEDULE, &arguments, &answers(&state, &confirmed())).await;
        assert_eq!(response["result"]["resultType"] == "complete", is_taken, "{response}");
    }
    clock.advance(Duration::from_hours(90 * 24).saturating_sub(MINUTE));
    let still = first(&api.client(), SCHEDULE, &arguments).await;
    assert!(!Returned::of(&still).is_error, "{still}");
    clock.advance(MINUTE);
    assert_eq!(names(&first(&api.client(), SCHEDULE, &arguments).await), ["endpoint"]);
}

#[tokio::test]
async fn a_program_that_does_not_declare_forms_is_never_asked() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let open = to(HOST, json!({ "scheduledTime": WALL }));
    let mut named = open.clone();
    named["name"] = json!("daily");
    let change = json!({ "conversationId": id, "scheduledTime": WALL, "endpoint": "https://news.example.com/" });
    let calls = [(SCHEDULE, open.clone()), (NAMED, named), (UPDATE, change)];
    for (tool, arguments) in &calls {
        for capabilities in [json!({}), json!({ "roots": {} }), json!({ "elicitation": { "url": {} } })] {
            let response = call_as(&client, capabilities, tool, arguments, &json!({})).await;
            assert_eq!(response["result"]["resultType"], "complete", "{tool}: {response}");
            assert!(!Returned::of(&response).is_error, "{tool}: {response}");
        }
        // An older version knows no such result, whatever the program declares.
        for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
            let mut message = older("tools/call", json!({ "name": tool, "arguments": arguments }));
            message["params"]["_meta"] = json!({ "io.modelcontextprotocol/clientCapabilities": forms() });
            let request = client.mcp_request(&message).await.header("mcp-protocol-version", version);
            let returned = Returned::of(&Answer::to(request).await.json());
            assert!(!returned.is_error, "{tool} of {version}: {returned:?}");
        }
    }
    // Neither is one that calls another tool.
    let batch = json!({ "conversations": [open] });
    for (tool, arguments) in [("scheduleBatch", batch), ("runConversation", json!({ "conversationId": id }))] {
        let response = first(&client, tool, &arguments).await;
        assert!(!Returned::of(&response).is_error, "{tool}: {response}");
    }
    // The capability without a mode means forms.
    let asked = call_as(&client, json!({ "elicitation": {} }), SCHEDULE, &open, &json!({})).await;
    assert_eq!(names(&asked), ["endpoint", "timeZone"]);
}

#[tokio::test]
async fn a_call_that_fails_anyway_and_one_that_is_clear_ask_nobody() {
    let app = TestApp::start().await;
    let (client, nobody) = (app.client(), "01890000-0000-7000-8000-00000000000f");
    let id = client.scheduled(json!({})).await;
    for (tool, arguments, part) in [
        (SCHEDULE, to(HOST, json!({ "conversationText": "" })), "conversationText must not be empty"),
        (SCHEDULE, to(HOST, json!({ "scheduledTime": "2001-01-01T00:00:00Z" })), "in the past"),
        (SCHEDULE, to(HOST, json!({ "colour": 1, "scheduledTime": WALL })), "colour"),
        (SCHEDULE, to("127.0.0.1:x", json!({})), "endpoint"),
        (UPDATE, json!({ "conversationId": nobody, "scheduledTime": WALL }), "conversation"),
        (UPDATE, json!({ "scheduledTime": WALL }), "conversationId is required"),
        (UPDATE, json!({ "conversationId": id, "paused": "yes", "scheduledTime": "soon" }), "scheduledTime"),
    ] {
        let returned = Returned::of(&first(&client, tool, &arguments).await);
        assert!(returned.is_error && returned.text.contains(part), "{part}: {returned:?}");
    }
    for overrides in [
        json!({ "scheduledTime": WALL, "timeZone": "Europe/Berlin" }),
        json!({ "scheduledTime": "2035-01-31T09:30+01:00" }),
        json!({ "scheduledTime": "2035-01-31T09:30[Europe/Berlin]" }),
        json!({ "scheduledTime": null, "delay": "5m" }),
        json!({ "scheduledTime": null, "recurrence": { "cron": "@daily", "timeZone": "Europe/Berlin" } }),
    ] {
        let arguments = waiting(overrides);
        let returned = Returned::of(&first(&client, SCHEDULE, &arguments).await);
        assert!(!returned.is_error, "{arguments}: {returned:?}");
    }
}

#[tokio::test]
async fn a_time_that_only_utc_puts_in_the_past_is_asked_for() {
    let app = TestApp::start().await;
    let client = app.client();
    let wall = in_seconds(-3600);
    let arguments = waiting(json!({ "scheduledTime": wall.trim_end_matches('Z') }));
    let (_, state) = asked(&first(&client, SCHEDULE, &arguments).await);
    let west = call(&client, SCHEDULE, &arguments, &answers(&state, &zone("Pacific/Pago_Pago"))).await;
    assert!(!Returned::of(&west).is_error, "{west}");
    let east = call(&client, SCHEDULE, &arguments, &answers(&state, &zone("Asia/Tokyo"))).await;
    assert!(Returned::of(&east).text.contains("in the past"), "{east}");
}

#[tokio::test]
async fn what_an_operator_has_decided_comes_first() {
    let app = TestApp::start().await;
    let (operator, client) = (app.operator().await, app.other_client());
    assert_eq!(operator.post_json("/api/clients/bob/hosts", &json!({ "host": HOST })).await.status, 200);
    for bound in [false, true] {
        let limits = json!({ "approvedHostsOnly": bound });
        assert_eq!(operator.post_json("/api/clients/bob/limits", &limits).await.status, 200);
        let approved = first(&client, SCHEDULE, &to(HOST, json!({}))).await;
        assert!(!Returned::of(&approved).is_error, "{approved}");
        let other = to("other.example.com", json!({ "scheduledTime": WALL }));
        let other = first(&client, SCHEDULE, &other).await;
        if bound {
            let refused = Returned::of(&other);
            assert!(refused.is_error && refused.text.contains("client approve bob other.example.com"), "{refused:?}");
        } else {
            assert_eq!(names(&other), ["endpoint", "timeZone"]);
        }
    }
}
