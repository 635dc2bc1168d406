//! Wrong fields: over REST and over MCP the sentences are the same.

use serde_json::json;

use super::{GOOD, HINT, NOW, call, sentences, start};
use crate::support::client::Answer;

const FIELDS: &str = "conversationText, scheduledTime, delay, recurrence, paused, timeZone, endpoint, deliver, method, headers, additionalInfo, format, body, successWhen, retry, timeoutSeconds, labels, threadId, expireAfter, onFailed, onCompleted";

/// A good schedule request with one field in another spelling, or with more members.
fn request(members: &str) -> String {
    let replaced = members.split(':').next().unwrap();
    let kept: Vec<_> = GOOD.split(",\"").map(|member| format!("\"{}", member.trim_start_matches('"'))).collect();
    let kept = kept.iter().filter(|member| !member.starts_with(&format!("{replaced}:"))).cloned();
    format!("{{{}}}", kept.chain([members.to_owned()]).collect::<Vec<_>>().join(","))
}

/// The members that are wrong in an otherwise good schedule request, and the sentences about them.
#[rustfmt::skip]
const SCHEDULE: &[(&str, &[&str])] = &[
    // Times.
    (r#""scheduledTime":"2030-12-01T09:00:00+0100""#, &["scheduledTime has an offset that is not written as hours, colon and minutes; write 2030-12-01T09:00:00+01:00"]),
    (r#""scheduledTime":"2030-12-01T09:00+01""#, &["scheduledTime has an offset that is not written as hours, colon and minutes; write 2030-12-01T09:00+01:00"]),
    (r#""scheduledTime":"2030-02-30T09:00:00Z""#, &["scheduledTime has the day 30, but 2030-02 has 28 days"]),
    (r#""scheduledTime":"2030-13-01T09:00:00Z""#, &["scheduledTime has the month 13; it must be from 01 to 12"]),
    (r#""scheduledTime":"2030-12-01T24:00:00Z""#, &["scheduledTime has the hour 24; it must be from 00 to 23"]),
    (r#""scheduledTime":"2030-12-01T09:60""#, &["scheduledTime has the minute 60; it must be from 00 to 59"]),
    (r#""scheduledTime":"2030-06-30T23:59:60Z""#, &["scheduledTime names a leap second; use 23:59:59 or 00:00:00"]),
    (r#""scheduledTime":"2030-12-01""#, &["scheduledTime has no time of day; write for example 2030-12-01T09:30:00Z"]),
    (r#""scheduledTime":1893491999"#, &["scheduledTime is a Unix time; write it as 2030-01-01T09:59:59.000Z"]),
    (r#""scheduledTime":"1893491999""#, &["scheduledTime is a Unix time; write it as 2030-01-01T09:59:59.000Z"]),
    (r#""scheduledTime":1893491999123"#, &["scheduledTime is a Unix time; write it as 2030-01-01T09:59:59.123Z"]),
    (r#""scheduledTime":"5m""#, &["scheduledTime is a duration and not a time; use delay: PT5M"]),
    (r#""scheduledTime":"in 2 hours""#, &["scheduledTime is a duration and not a time; use delay: PT2H"]),
    (r#""scheduledTime":"PT1H30M""#, &["scheduledTime is a duration and not a time; use delay: PT1H30M"]),
    (r#""scheduledTime":"2030-12-01T09:00:00 Europe/Berlin""#, &["scheduledTime has a time zone after the time; write its name as timeZone or in brackets, such as 2030-12-01T09:00:00[Europe/Berlin], or write the UTC offset, such as 2030-12-01T09:00:00+01:00, or 2030-12-01T09:00:00Z for UTC"]),
    (r#""scheduledTime":"tomorrow""#, &["scheduledTime is not an RFC 3339 time such as 2030-01-31T09:30:00Z or 2030-01-31T09:30:00+01:00 (without an offset it is read as UTC)"]),
    (r#""scheduledTime":5"#, &["scheduledTime is not an RFC 3339 time such as 2030-01-31T09:30:00Z or 2030-01-31T09:30:00+01:00 (without an offset it is read as UTC)"]),
    (r#""scheduledTime":{"at":"2030"}"#, &["scheduledTime must be a string, not an object"]),
    (r#""scheduledTime":"2030-01-01T08:00""#, &["scheduledTime is 3600 seconds in the past: it was read as 2030-01-01T08:00:00.000Z, and the server's time is 2030-01-01T09:00:00.000Z"]),
    (r#""scheduledTime":"2041-01-01T08:00""#, &["scheduledTime is more than ten years ahead: it was read as 2041-01-01T08:00:00.000Z, and the server's time is 2030-01-01T09:00:00.000Z"]),
    (r#""scheduledTime":"1969-01-01T08:00""#, &["scheduledTime is before 1970"]),
    (r#""scheduledTime":"2030-12-01T09:00+02:00[Europe/Berlin]""#, &["scheduledTime has the UTC offset +02:00, but Europe/Berlin has +01:00 at that time; write 2030-12-01T08:00:00.000+01:00[Europe/Berlin] if the offset is right, or leave out the offset if the time of day is right"]),
    (r#""scheduledTime":"2030-12-01T09:00[Berlin]""#, &["scheduledTime has a name in brackets that is not a time zone of the IANA database; use Europe/Berlin"]),
    (r#""scheduledTime":"2030-12-01T09:00[Europe/Berlin""#, &["scheduledTime has brackets after the time that are not the name of one time zone; write for example 2030-01-31T09:30:00[Europe/Berlin]"]),
    (r#""timeZone":"Berlin""#, &["timeZone is not a time zone of the IANA database; use Europe/Berlin"]),
    (r#""timeZone":"PST""#, &["timeZone is not a time zone of the IANA database, such as Europe/Berlin, America/New_York or UTC"]),
    (r#""timeZone":"UTC+2""#, &["timeZone is a UTC offset and not a time zone; write the offset after the time in scheduledTime, or use a name of the IANA database such as Europe/Berlin"]),
    (r#""timeZone":2"#, &["timeZone must be a string, not a number"]),
    (r#""delay":"5m""#, &["delay must not be given together with scheduledTime; one of them says when"]),
    // Endpoints.
    (r#""endpoint":"anna@example.com""#, &["endpoint must begin with https://, such as https://example.com/hook"]),
    (r#""endpoint":"example.com/hook""#, &["endpoint must begin with https://, such as https://example.com/hook"]),
    (r#""endpoint":"mailto:anna@example.com""#, &["endpoint must begin with https://, such as https://example.com/hook"]),
    (r#""endpoint":"https://""#, &["endpoint has no host; a URL is such as https://example.com/hook"]),
    (r#""endpoint":"https://example.com:99999/""#, &["endpoint has a port that is not a number from 1 to 65535"]),
    (r#""endpoint":"https://1.2.3.456/""#, &["endpoint has a host that looks like an IP address but is none"]),
    (r#""endpoint":"https://exa<mple.com/""#, &["endpoint has a host with characters that a host name cannot have"]),
    (r#""endpoint":"https://example.com/a b""#, &["endpoint must not contain spaces, control characters or backslashes"]),
    (r#""endpoint":"http://example.com/""#, &["endpoint must use https; plain http is accepted only for hosts in the networks of DELIVERY_ALLOWED_NETWORKS (on a laptop: loopback)"]),
    (r#""endpoint":"http://localhost:3000/""#, &[r#"endpoint has the host "localhost", which exists only in an internal network; only hosts on the internet are accepted, unless the operator of this service lists the network in DELIVERY_ALLOWED_NETWORKS"#]),
    (r#""endpoint":"https://printer.local/""#, &[r#"endpoint has the host "printer.local", which exists only in an internal network; only hosts on the internet are accepted, unless the operator of this service lists the network in DELIVERY_ALLOWED_NETWORKS"#]),
    (r#""endpoint":"https://192.168.0.1/""#, &["endpoint has the host 192.168.0.1, an address of a private network; only hosts on the internet are accepted, unless the operator of this service lists the network in DELIVERY_ALLOWED_NETWORKS"]),
    (r#""endpoint":"https://[::1]/""#, &["endpoint has the host ::1, a loopback address; only hosts on the internet are accepted, unless the operator of this service lists the network in DELIVERY_ALLOWED_NETWORKS"]),
    (r#""endpoint":"""#, &["endpoint is required: an https URL"]),
    (r#""endpoint":["https://example.com/"]"#, &["endpoint must be a string, not an array"]),
    // Recurrence.
    (r#""recurrence":{}"#, &["recurrence/cron is required: a cron expression such as 0 9 * * 1-5 for 9:00 on weekdays"]),
    (r#""recurrence":"0 9 * * *""#, &[r#"recurrence must be an object such as {"cron": "0 9 * * 1-5", "timeZone": "Europe/Berlin"}, not a string"#]),
    (r#""recurrence":{"cron":"0 9 * * *","timeZone":"Berlin"}"#, &["recurrence/timeZone is not a time zone of the IANA database; use Europe/Berlin"]),
    (r#""recurrence":{"cron":"0 9 * *"}"#, &["recurrence/cron has 4 fields; write five: minute, hour, day of month, month and day of week, such as 30 9 * * MON-FRI (a sixth field in front is the second)"]),
    (r#""recurrence":{"cron":"61 9 * * *"}"#, &[r#"recurrence/cron has "61" in the field of the minute, but an entry there is a number from 0 to 59, a range such as 0-29, or */15"#]),
    (r#""recurrence":{"cron":"0 0 30 2 *"}"#, &["recurrence/cron never fires: no date matches it up to the year 2099; 29 February is 0 9 29 2 *, the last day of a month 0 9 L * *"]),
    (r#""recurrence":{"cron":"* * * * * *"}"#, &["recurrence/cron has a first of six fields, the second, that is not one number from 0 to 59; occurrences are at least a minute apart, so write for example */5 * * * * for each fifth minute"]),
    (r#""recurrence":{"cron":"0 9 * * *","endTime":"soon"}"#, &["recurrence/endTime is not an RFC 3339 time such as 2030-01-31T09:30:00Z or 2030-01-31T09:30:00+01:00 (without an offset it is read as UTC)"]),
    (r#""recurrence":{"cron":"0 9 * * *","endTime":"2029-01-01T00:00:00Z"}"#, &["recurrence/endTime is before the first occurrence: it was read as 2029-01-01T00:00:00.000Z, and the first occurrence would be at 2030-01-02T09:00:00.000+00:00[UTC]"]),
    (r#""recurrence":{"cron":"0 9 * * *","maxOccurrences":0}"#, &["recurrence/maxOccurrences is 0; it must be a whole number from 1 to 4294967295"]),
    (r#""recurrence":{"cron":"0 9 * * *","everyWeeks":0}"#, &["recurrence/everyWeeks is 0; it must be a whole number from 1 to 52"]),
    (r#""recurrence":{"cron":"0 9 * * *","everyDays":2,"everyWeeks":2}"#, &["recurrence/everyDays must not be given together with everyWeeks; use one of them"]),
    (r#""recurrence":{"cron":"0 9 * * FRI","interval":2}"#, &["recurrence/interval is not a field; use everyWeeks"]),
    (r#""recurrence":{"cron":"0 9 * * *","stopOnFailure":"yes"}"#, &["recurrence/stopOnFailure must be true or false, not a string"]),
    (r#""recurrence":{"cron":"0 9 * * *","until":"2031-01-01T00:00:00Z"}"#, &["recurrence/until is not a field; use endTime"]),
    // Types and words.
    (r#""conversationText":"""#, &["conversationText must not be empty"]),
    (r#""conversationText":null"#, &["conversationText is required: the text to deliver"]),
    (r#""conversationText":{"text":"hi"}"#, &["conversationText must be a string, not an object"]),
    (r#""retry":3"#, &[r#"retry must be an object such as {"maxAttempts": 3}, not a number"#]),
    (r#""retry":"3""#, &[r#"retry must be an object such as {"maxAttempts": 3}, not a string"#]),
    (r#""retry":[3]"#, &[r#"retry must be an object such as {"maxAttempts": 3}, not an array"#]),
    (r#""retry":{"maxAttempts":21}"#, &["retry/maxAttempts is 21; it must be a whole number from 1 to 20"]),
    (r#""retry":{"maxAttempts":"3"}"#, &["retry/maxAttempts must be a whole number from 1 to 20, not a string"]),
    (r#""retry":{"attempts":3}"#, &["retry/attempts is not a field; use maxAttempts"]),
    (r#""retry":{"backoff":3,"max_attempts":3}"#, &["retry/backoff is not a field; the fields are maxAttempts", "retry/max_attempts is not a field; use maxAttempts"]),
    (r#""timeoutSeconds":0"#, &["timeoutSeconds is 0; it must be a whole number from 1 to 60"]),
    (r#""timeoutSeconds":5.5"#, &["timeoutSeconds is 5.5; it must be a whole number from 1 to 60"]),
    (r#""timeoutSeconds":"30s""#, &["timeoutSeconds must be a whole number from 1 to 60, not a string"]),
    (r#""timeoutSeconds":true"#, &["timeoutSeconds must be a whole number from 1 to 60, not a boolean"]),
    (r#""method":"CONNECT""#, &["method must be one of POST, PUT, PATCH, GET, DELETE"]),
    (r#""format":"xml""#, &["format must be one of json, text, cloudevents"]),
    (r#""headers":"X-A: 1""#, &[r#"headers must be an object such as {"X-Name": "value"}, not a string"#]),
    (r#""headers":[{"name":"X-A"}]"#, &[r#"headers must be an object such as {"X-Name": "value"}, not an array"#]),
    (r#""headers":{"X-A":1,"X-B":null,"X-C":["a"]}"#, &["headers/X-A must be a string, not a number", "headers/X-B must be a string, not null", "headers/X-C must be a string, not an array"]),
    (r#""headers":{"Host":"example.com"}"#, &["headers has the header Host, which callers cannot set: it belongs to the connection, the platform or the scheduler"]),
    (r#""additionalInfo":{"a":1,"a":2}"#, &[r#"additionalInfo has the key "a" twice in one object"#]),
    (r#""body":true"#, &["body must be an object, an array or a string, not a boolean"]),
    (r#""body":"{\"text\":\"hi\"}""#, &["body is a string that contains JSON; write an object itself"]),
    (r#""body":{"a":["{{text}}"],"b":"{{additionalInfo.c}}"}"#, &["body/a/0 has the unknown placeholder {{text}}; the placeholders are {{conversationText}}, {{conversationId}}, {{scheduledTime}}, {{occurrence}}, {{name}}, {{additionalInfo.x.y}}; write {{{{ for two braces of your own", "body/b has {{additionalInfo.c}}, but the additionalInfo has no such value"]),
    (r#""body":{"a":"{{occurrence"}"#, &["body/a has {{ without }} after it; write {{{{ for two braces of your own"]),
    (r#""body":{},"method":"GET","format":"text""#, &["body is not sent with GET; use POST, PUT or PATCH", "body is sent instead of the body of the format text; leave one of them out"]),
    (r#""successWhen":"/ok""#, &[r#"successWhen must be an object such as {"pointer": "/ok", "equals": true}, not a string"#]),
    (r#""successWhen":{"path":"ok","equals":[1]}"#, &["successWhen/path is not a field; use pointer", "successWhen/pointer is required: a JSON pointer such as /ok", "successWhen/equals must be a string, a number or a boolean, not an array"]),
    (r#""successWhen":{"pointer":"ok","absent":"yes"}"#, &["successWhen/absent must be true or false, not a string", "successWhen/pointer is not a JSON pointer such as /ok or /result/0/state; write ~ as ~0 and / in a name as ~1", "successWhen must have exactly one of equals and absent"]),
    (r#""successWhen":{"pointer":"/ok","equals":true,"absent":true}"#, &["successWhen must have exactly one of equals and absent"]),
    (r#""onFailed":"https://example.com/""#, &[r#"onFailed must be an object such as {"endpoint": "https://example.com/news"}, not a string"#]),
    (r#""onFailed":{"url":"https://example.com/"}"#, &["onFailed/url is not a field; use endpoint", "onFailed/endpoint is required: an https URL"]),
    (r#""onCompleted":{"endpoint":"https://example.com/","headers":{"Host":"x"},"method":"PUT"}"#, &["onCompleted/method is not a field; the fields are endpoint, headers", "onCompleted/headers has the header Host, which callers cannot set: it belongs to the connection, the platform or the scheduler"]),
    (r#""onFailed":{"endpoint":"http://example.com/"},"onCompleted":{"endpoint":"https://192.168.0.1/"}"#, &["onFailed/endpoint must use https; plain http is accepted only for hosts in the networks of DELIVERY_ALLOWED_NETWORKS (on a laptop: loopback)", "onCompleted/endpoint has the host 192.168.0.1, an address of a private network; only hosts on the internet are accepted, unless the operator of this service lists the network in DELIVERY_ALLOWED_NETWORKS"]),
    (r#""callbackOf":"01890000-abcd-7000-8000-00000000000f","onSuccess":{},"on_failed":{}"#, &["callbackOf is not a field; the fields are conversationText, scheduledTime, delay, recurrence, paused, timeZone, endpoint, deliver, method, headers, additionalInfo, format, body, successWhen, retry, timeoutSeconds, labels, threadId, expireAfter, onFailed, onCompleted", "onSuccess is not a field; use onCompleted", "on_failed is not a field; use onFailed"]),
    (r#""labels":["a"]"#, &[r#"labels must be an object such as {"team": "ops"}, not an array"#]),
    (r#""labels":{"a":1}"#, &["labels/a must be a string, not a number"]),
    (r#""labels":{"Team":"ops"}"#, &[r#"labels has the key "Team"; a key is 1 to 32 characters of a-z, 0-9, '.', '_' and '-'"#]),
    (r#""labels":{"a":"1","a":"2"}"#, &["labels has the key a twice"]),
    (r#""labels":{"a":"1","b":"2","c":"3","d":"4","e":"5","f":"6","g":"7","h":"8","i":"9"}"#, &["labels has 9 labels; at most 8 are accepted"]),
    (r#""threadId":"a b""#, &["threadId must be 1 to 128 visible ASCII characters, without spaces"]),
    (r#""threadId":"""#, &["threadId must be 1 to 128 visible ASCII characters, without spaces"]),
    (r#""threadId":7"#, &["threadId must be a string, not a number"]),
    (r#""expireAfter":"soon""#, &["expireAfter is not a duration such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M"]),
    (r#""expireAfter":300"#, &["expireAfter has no unit; write 300s for seconds or 300m for minutes"]),
    (r#""expireAfter":"0s""#, &["expireAfter is PT0S; it must be from PT1S to P3653D"]),
    (r#""expireAfter":"P1M""#, &["expireAfter has months or years, which differ in length; use days, such as 30d"]),
    // Names.
    (r#""tags":{},"ttl":"5m","thread_id":"x""#, &["tags is not a field; use labels", "ttl is not a field; use expireAfter", "thread_id is not a field; use threadId"] ),
    (r#""conversation_text":"hi""#, &["conversation_text is not a field; use conversationText"]),
    (r#""endpiont":"https://example.com/""#, &["endpiont is not a field; use endpoint"]),
    (r#""timezone":"Europe/Berlin""#, &["timezone is not a field; use timeZone"]),
    (r#""time_zone":"Europe/Berlin","tz":"UTC""#, &["time_zone is not a field; use timeZone", "tz is not a field; use timeZone"]),
    (r#""in":"5m","metadata":{},"retries":3"#, &["in is not a field; use delay", "metadata is not a field; use additionalInfo", "retries is not a field; use retry"]),
    (r#""colour":"red""#, &["colour is not a field; the fields are conversationText, scheduledTime, delay, recurrence, paused, timeZone, endpoint, deliver, method, headers, additionalInfo, format, body, successWhen, retry, timeoutSeconds, labels, threadId, expireAfter, onFailed, onCompleted"]),
    (r#""method":"PUT","method":"PUT""#, &["method is given twice"]),
];

/// The end of the list of fields.
const LAST_FIELD: &str = "onFailed, onCompleted";

/// The delay in an otherwise good schedule request without a scheduledTime, and the sentence about it.
#[rustfmt::skip]
const DELAYS: &[(&str, &str)] = &[
    ("300", "delay has no unit; write 300s for seconds or 300m for minutes"),
    (r#""300""#, "delay has no unit; write 300s for seconds or 300m for minutes"),
    (r#""-5m""#, "delay must not be negative"),
    (r#""P1M""#, "delay has months or years, which differ in length; use days, or write the time as scheduledTime"),
    (r#""30m1h""#, "delay must have each unit once and the larger unit first, such as 1h30m"),
    (r#""1.5h30m""#, "delay may have a fraction only in its last number, such as 1h0.5m"),
    (r#""tomorrow""#, "delay is not a duration such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M"),
    (r#"{"minutes":5}"#, "delay is not a duration such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M"),
    ("true", "delay is not a duration such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M"),
    (r#""4000d""#, "delay is more than ten years ahead: it was read as 2040-12-14T09:00:00.000Z, and the server's time is 2030-01-01T09:00:00.000Z"),
];

#[tokio::test]
async fn a_wrong_delay_is_told_what_to_correct_over_rest_and_over_mcp() {
    let api = start().await;
    let client = api.client();
    for (delay, expected) in DELAYS {
        let body = request(&format!(r#""scheduledTime":null,"delay":{delay}"#));
        let answer = client.schedule_raw(body.clone()).await;
        answer.assert_problem(400, "invalid-request");
        assert_eq!(
            (sentences(&answer.json()), &answer.json()["serverTime"]),
            (vec![(*expected).to_owned()], &json!(NOW))
        );
        let returned = call(&client, "scheduleConversation", &body).await;
        assert!(returned.is_error && returned.text.contains(&format!("\n- {expected}\n")), "{returned:?}");
    }
}

/// Whole schedule requests.
#[rustfmt::skip]
const SCHEDULES: &[(&str, &[&str])] = &[
    ("{}", &["conversationText is required: the text to deliver", "scheduledTime is required: an RFC 3339 time such as 2030-01-31T09:30:00Z, or use delay, such as 5m", "endpoint is required: an https URL"]),
    (r#"{"text":"hi","when":"5m","url":"https://example.com/"}"#, &["text is not a field; use conversationText", "when is not a field; use scheduledTime", "url is not a field; use endpoint", "conversationText is required: the text to deliver", "scheduledTime is required: an RFC 3339 time such as 2030-01-31T09:30:00Z, or use delay, such as 5m", "endpoint is required: an https URL"]),
    (r#"{"conversation_text":"hi","scheduled_time":"2030-01-01T10:00Z","endpoint":"example.com","timeout_seconds":5}"#, &["conversation_text is not a field; use conversationText", "scheduled_time is not a field; use scheduledTime", "timeout_seconds is not a field; use timeoutSeconds", "conversationText is required: the text to deliver", "scheduledTime is required: an RFC 3339 time such as 2030-01-31T09:30:00Z, or use delay, such as 5m", "endpoint must begin with https://, such as https://example.com/hook"]),
    (r#"{"conversationText":7,"scheduledTime":"5m","endpoint":true,"retry":3,"timeoutSeconds":"5","colour":1}"#, &["conversationText must be a string, not a number", "endpoint must be a string, not a boolean", r#"retry must be an object such as {"maxAttempts": 3}, not a number"#, "timeoutSeconds must be a whole number from 1 to 60, not a string", "colour is not a field; the fields are conversationText, scheduledTime, delay, recurrence, paused, timeZone, endpoint, deliver, method, headers, additionalInfo, format, body, successWhen, retry, timeoutSeconds, labels, threadId, expireAfter, onFailed, onCompleted", "scheduledTime is a duration and not a time; use delay: PT5M"]),
];

#[tokio::test]
async fn every_wrong_schedule_request_is_told_what_to_correct_over_rest_and_over_mcp() {
    let api = start().await;
    let client = api.client();
    let fields = SCHEDULE.iter().map(|(members, expected)| (request(members), expected));
    let all: Vec<_> = fields.chain(SCHEDULES.iter().map(|(body, expected)| ((*body).to_owned(), expected))).collect();
    assert!(all.len() >= 60, "{}", all.len());
    for (body, expected) in all {
        let answer = client.schedule_raw(body.clone()).await;
        answer.assert_problem(400, "invalid-request");
        let problem = answer.json();
        assert_eq!(sentences(&problem), *expected, "{body}");
        assert_eq!(problem["detail"], expected.join("; "), "{body}");
        assert_eq!((&problem["hint"], &problem["serverTime"]), (&json!(HINT), &json!(NOW)), "{body}");
        let returned = call(&client, "scheduleConversation", &body).await;
        // Over REST, the key is a header.
        let fields = expected.join("\n- ").replace(LAST_FIELD, &format!("{LAST_FIELD}, idempotencyKey"));
        let text = format!("The request is not valid.\n- {fields}\n{HINT}\nThe server's time is {NOW}.");
        assert_eq!((returned.is_error, returned.text), (true, text), "{body}");
    }
    assert_eq!(client.list("").await.json()["conversations"], json!([]));
}

#[tokio::test]
async fn half_of_a_character_is_named() {
    let api = start().await;
    let client = api.client();
    let body = request(r#""conversationText":"\ud83d""#);
    let told = "has an escape such as \\ud83d that is only half of a character";
    let answer = client.schedule_raw(body.clone()).await;
    assert_eq!(sentences(&answer.json()), [format!("conversationText {told}")]);
    for bad in [r#""\ud83d""#, r#"{"\ud83d":1}"#, "1e400"] {
        let answer = client.schedule_raw(request(&format!("\"additionalInfo\":{bad}"))).await;
        let told = "has a number that is too large, or an escape such as \\ud83d that is only half of a character";
        assert_eq!(sentences(&answer.json()), [format!("additionalInfo {told}")]);
    }
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"scheduleConversation","arguments":{body}}}}}"#
    );
    let answer = Answer::to(client.mcp_request(&json!(null)).await.body(message)).await;
    answer.assert_problem(400, "mcp-transport");
    assert!(answer.json()["detail"].as_str().unwrap().contains(told), "{}", answer.text);
}

/// The tools with other arguments.
#[rustfmt::skip]
const TOOLS: &[(&str, &str, &str)] = &[
    ("getConversationStatus", "{}", "conversationId is required: the conversationId that scheduleConversation returned"),
    ("getConversationStatus", r#"{"id":"1"}"#, "id is not a field; use conversationId\n- conversationId is required: the conversationId that scheduleConversation returned"),
    ("getConversationStatus", r#"{"conversation_id":"1"}"#, "conversation_id is not a field; use conversationId\n- conversationId is required: the conversationId that scheduleConversation returned"),
    ("cancelConversation", r#"{"conversationId":1}"#, "conversationId must be a string, not a number"),
    ("cancelConversation", r#"{"conversationId":"1","reason":"x"}"#, "reason is not a field; the fields are conversationId"),
    ("listConversations", r#"{"limit":0,"status":"done","state":"x"}"#, "limit is 0; it must be a whole number from 1 to 100\n- state is not a field; use status\n- status must be one of Scheduled, InProgress, Completed, Failed, Cancelled"),
    ("listConversations", r#"{"limit":"ten","nextCursor":"x","pageSize":5}"#, "limit must be a whole number from 1 to 100\n- nextCursor is not a field; use cursor\n- pageSize is not a field; use limit"),
    ("previewTime", "{}", "scheduledTime is required: an RFC 3339 time such as 2030-01-31T09:30:00Z, or use delay, such as 5m"),
    ("previewTime", r#"{"time":"5m","limit":3}"#, "time is not a field; use scheduledTime\n- limit is not a field; use count\n- scheduledTime is required: an RFC 3339 time such as 2030-01-31T09:30:00Z, or use delay, such as 5m"),
    ("previewTime", r#"{"delay":"5m","count":51}"#, "count is 51; it must be a whole number from 1 to 50"),
    ("listConversations", r#"{"host":"example.com:443"}"#, "host is not a field; use endpointHost"),
    ("listConversations", r#"{"endpointHost":"example.com:443"}"#, "endpointHost must be a host alone, such as example.com, without a scheme, a port or a path"),
    ("redeliverConversation", "{}", "conversationId is required: the conversationId that scheduleConversation returned"),
    ("runConversation", r#"{"id":"1","key":"a"}"#, "id is not a field; use conversationId\n- key is not a field; the fields are conversationId, idempotencyKey\n- conversationId is required: the conversationId that scheduleConversation returned"),
    ("runConversation", r#"{"conversationId":"01890000-0000-7000-8000-00000000000f","idempotencyKey":""}"#, "idempotencyKey is empty; use a value that is new for each conversation, such as a UUID"),
    ("cancelNamedConversation", r#"{"id":"x"}"#, "id is not a field; use name\n- name is required: the name of the conversation, such as daily-report"),
    ("getNamedConversation", r#"{"name":"a b"}"#, "name must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', and not only dots"),
    ("scheduleBatch", "{}", "conversations is required: an array of 1 to 100 conversations to schedule"),
    ("scheduleBatch", r#"{"conversations":[]}"#, "conversations is empty; at least one item is needed"),
    ("scheduleBatch", r#"{"conversations":{},"key":"a"}"#, "conversations must be an array such as [{\"conversationText\": \"…\"}], not an object\n- key is not a field; the fields are conversations, idempotencyKey"),
    ("scheduleBatch", r#"{"items":[{}]}"#, "items is not a field; use conversations\n- conversations is required: an array of 1 to 100 conversations to schedule"),
    ("cancelConversations", "{}", r#"filter is required: an object such as {"label": "team:ops"}; {} means all conversations that have not ended"#),
    ("cancelConversations", r#"{"status":"Scheduled"}"#, "status is not a field; use filter\n- filter is required: an object such as {\"label\": \"team:ops\"}; {} means all conversations that have not ended"),
    ("cancelConversations", r#"{"filter":{"status":"Completed","host":"a"}}"#, "filter/host is not a field; use endpointHost\n- filter/status must be Scheduled or InProgress, or left out for both; only these can be cancelled"),
    ("cancelConversations", r#"{"filter":{"from":"2030-01-02T00:00Z","to":"2030-01-01T00:00Z"}}"#, "filter/to must be later than from, which is 2030-01-02T00:00:00.000Z"),
    ("redeliverConversations", r#"{"filter":{"status":"Completed"},"limit":0}"#, "limit is 0; it must be a whole number from 1 to 100\n- filter/status must be Failed, or left out; only Failed conversations can be redelivered"),
    ("redeliverConversations", "{}", r#"filter is required: an object such as {"label": "team:ops"}; {} means all Failed conversations"#),
    ("redeliverConversations", r#"{"filter":{},"cursor":"2"}"#, "cursor must be the cursor that an earlier response of this operation returned, unchanged, with the same filters and order as in that request; leave it out to start from the beginning"),
    ("listConversations", r#"{"cursor":"2"}"#, "cursor must be the cursor that an earlier response of this operation returned, unchanged, with the same filters and order as in that request; leave it out to start from the beginning"),
];

#[tokio::test]
async fn every_wrong_call_of_a_tool_is_told_what_to_correct() {
    let api = start().await;
    for (tool, arguments, expected) in TOOLS {
        let returned = call(&api.client(), tool, arguments).await;
        let text = format!("The request is not valid.\n- {expected}\n{HINT}\nThe server's time is {NOW}.");
        assert_eq!((returned.is_error, returned.text), (true, text), "{tool} {arguments}");
    }
}

#[tokio::test]
async fn a_request_with_very_many_errors_names_the_first_twenty() {
    let api = start().await;
    let members: Vec<_> = (0..5000).map(|i| format!("\"{}{i}\":1", "\\u0001".repeat(60))).collect();
    let answer = api.client().schedule_raw(format!("{{{GOOD},{}}}", members.join(","))).await;
    let errors = sentences(&answer.json());
    assert_eq!((errors.len(), errors[20].as_str()), (21, "The request has more errors than these"));
    assert!(errors[0].ends_with(&format!("is not a field; the fields are {FIELDS}")), "{}", errors[0]);
}

#[tokio::test]
async fn a_correct_request_in_another_form_is_accepted() {
    let api = start().await;
    let client = api.client();
    for (members, name, shown) in [
        (r#""scheduledTime":"2030-12-01T09:00""#, "scheduledTime", json!("2030-12-01T09:00:00.000Z")),
        (r#""scheduledTime":"2030-12-01T09:00Z""#, "scheduledTime", json!("2030-12-01T09:00:00.000Z")),
        (r#""scheduledTime":"2030-12-01 09:00+01:00""#, "scheduledTime", json!("2030-12-01T08:00:00.000Z")),
        (r#""method":"pUt""#, "method", json!("PUT")),
        (r#""format":"TEXT""#, "format", json!("text")),
        (r#""format":"Json""#, "format", json!("json")),
        (r#""timeoutSeconds":5.0"#, "timeoutSeconds", json!(5)),
        (r#""timeoutSeconds":3e1"#, "timeoutSeconds", json!(30)),
        (r#""retry":{"maxAttempts":3.00}"#, "retry", json!({ "maxAttempts": 3 })),
    ] {
        let body = request(members);
        let scheduled = client.schedule_raw(body.clone()).await;
        assert_eq!(scheduled.status, 200, "{body}: {}", scheduled.text);
        let id = scheduled.json()["conversationId"].as_str().unwrap().to_owned();
        assert_eq!(client.status(&id).await.json()[name], shown, "{body}");
        let called = call(&client, "scheduleConversation", &body).await;
        assert!(!called.is_error, "{called:?}");
        assert_eq!(client.status(&called.text).await.json()[name], shown, "{body}");
    }
    let listed = call(&client, "listConversations", r#"{"status":"sCHEDULED","limit":2.0}"#).await;
    assert_eq!(listed.structured["conversations"].as_array().unwrap().len(), 2);
}
