//! Idempotency keys as callers write them, and the fingerprint of a schedule request.
//!
//! The fingerprint is the hash of the request as it was read, and not of its bytes: programs write the same request with
//! other white space, another order of members, or the same instant in another zone.

use serde::Serialize;

use super::body_field::MAX_BODY;
use super::{CallbackRequest, ErrorDetail, RecurrenceRequest, RetryRequest, ScheduleRequest, SuccessWhenRequest};
use crate::domain::{
    ConversationId, Delay, DeliveryPolicy, DueTime, Format, Method, Secret, Sha256, SuccessWhen, When, Zone, millis,
};
use crate::json::{RawJson, canonical};

/// The header of a request that has an idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The longest key, in characters.
pub(crate) const MAX_KEY: usize = 255;

/// Reads a key: visible ASCII characters, bare or as a quoted string of HTTP structured fields (RFC 9651 §3.3.3). Both
/// forms of the same characters are the same key.
///
/// # Errors
/// The error in the key, at the field or header with this name.
pub(crate) fn read_key(name: &str, text: &[u8]) -> Result<Sha256, ErrorDetail> {
    let key = if text.first() == Some(&b'"') { unquoted(text) } else { Ok(text.to_owned()) };
    key.and_then(|key| check_key(&key).map(|()| Sha256::of(&key)))
        .map_err(|detail| ErrorDetail { pointer: format!("/{name}"), detail })
}

/// The error of a request that has the header where it is not read.
pub(crate) fn misplaced_key() -> Vec<ErrorDetail> {
    let detail = "is read only by POST /api/scheduler/schedule, POST /api/scheduler/batch and POST \
                  /api/scheduler/{id}/run; over MCP, scheduleConversation, scheduleBatch and runConversation take the key as \
                  their argument idempotencyKey";
    vec![ErrorDetail { pointer: format!("/{IDEMPOTENCY_KEY}"), detail: detail.to_owned() }]
}

/// The error of a request that has the header more than once.
pub(crate) fn several_keys() -> ErrorDetail {
    ErrorDetail { pointer: format!("/{IDEMPOTENCY_KEY}"), detail: "is given twice".to_owned() }
}

/// The key of one conversation of a batch. It differs from every key that a client can choose, because those have no line
/// feed.
pub(super) fn item_key(batch: Sha256, index: usize) -> Sha256 {
    Sha256::of(format!("{batch}\n{index}").as_bytes())
}

/// The fingerprint of the request to run a conversation. It differs from that of every schedule request, which is the hash
/// of a JSON object.
pub(super) fn run_fingerprint(id: ConversationId) -> Sha256 {
    Sha256::of(format!("run\n{id}").as_bytes())
}

fn check_key(key: &[u8]) -> Result<(), String> {
    const ADVICE: &str = "use a value that is new for each conversation, such as a UUID";
    if key.is_empty() {
        return Err(format!("is empty; {ADVICE}"));
    }
    if !key.iter().all(u8::is_ascii_graphic) {
        return Err(format!("has a space or a character other than visible ASCII; {ADVICE}"));
    }
    if key.len() > MAX_KEY {
        return Err(format!("has {} characters; at most {MAX_KEY} are accepted", key.len()));
    }
    Ok(())
}

/// The characters inside a quoted string, without its escapes.
fn unquoted(text: &[u8]) -> Result<Vec<u8>, String> {
    const WRONG: &str = "begins with a quotation mark and is no quoted string such as \"3f2a\"; in it, write \\\" for a \
                         quotation mark and \\\\ for a backslash";
    let inner = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).ok_or(WRONG)?;
    let (mut key, mut bytes) = (Vec::with_capacity(inner.len()), inner.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => key.push(*bytes.next().filter(|escaped| matches!(escaped, b'"' | b'\\')).ok_or(WRONG)?),
            b'"' => return Err(WRONG.to_owned()),
            _ => key.push(*byte),
        }
    }
    Ok(key)
}

/// A request in its canonical form: defaults are left out, and what can be written in several ways is written in one.
/// A new field of the request is left out of the form of requests without it, so that a key outlives an upgrade.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CanonicalRequest<'a> {
    conversation_text: Option<&'a str>,
    scheduled_time: Option<CanonicalTime<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<CanonicalTime<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<CanonicalTime<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recurrence: Option<CanonicalRecurrence<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_when: Option<CanonicalCheck<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failed: Option<CanonicalCallback<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_completed: Option<CanonicalCallback<'a>>,
}

#[derive(Serialize)]
struct CanonicalCallback<'a> {
    endpoint: Option<&'a str>,
    headers: Vec<(String, &'a str)>,
}

#[derive(Serialize)]
struct CanonicalCheck<'a> {
    pointer: Option<&'a str>,
    equals: Option<String>,
    absent: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CanonicalRecurrence<'a> {
    cron: Option<&'a str>,
    time_zone: Option<String>,
    /// This and the next are left out where they are empty, because fingerprints of earlier releases are without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    every_weeks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_days: Option<u32>,
    end_time: Option<CanonicalTime<'a>>,
    max_occurrences: Option<u32>,
    stop_on_failure: bool,
}

impl<'a> CanonicalRecurrence<'a> {
    /// `zone` is that of the request.
    fn new(recurrence: &'a RecurrenceRequest, zone: Option<&str>) -> Self {
        let RecurrenceRequest { cron, time_zone, every_weeks, every_days, end_time, max_occurrences, stop_on_failure } =
            recurrence;
        Self {
            cron: cron.as_deref(),
            time_zone: time_zone.as_deref().map(canonical_zone),
            every_weeks: *every_weeks,
            every_days: *every_days,
            end_time: end_time.as_deref().map(|text| {
                let time_zone = time_zone.as_deref().or(zone);
                canonical_time(text, When { scheduled_time: Some(text), delay: None, time_zone }.scheduled().as_ref())
            }),
            max_occurrences: *max_occurrences,
            stop_on_failure: stop_on_failure.unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum CanonicalTime<'a> {
    Instant(i64),
    Duration(u64),
    /// The text has none of the accepted forms. No such request was ever accepted.
    Text(&'a str),
}

impl ScheduleRequest {
    /// The fingerprint of the request.
    pub(crate) fn fingerprint(&self) -> Sha256 {
        // All fields are named, so that a new one cannot be forgotten here.
        let Self {
            conversation_text,
            scheduled_time,
            delay,
            time_zone,
            endpoint,
            deliver,
            method,
            headers,
            additional_info,
            format,
            retry,
            timeout_seconds,
            labels,
            thread_id,
            expire_after,
            recurrence,
            paused,
            body,
            success_when,
            on_failed,
            on_completed,
        } = self;
        let RetryRequest { max_attempts } = retry.unwrap_or_default();
        let default = DeliveryPolicy::default();
        let scheduled = self.when().scheduled();
        let zone = scheduled.as_ref().and_then(|due| Some(due.zone()?.name.clone()));
        let form = CanonicalRequest {
            conversation_text: conversation_text.as_deref(),
            scheduled_time: scheduled_time.as_deref().map(|text| canonical_time(text, scheduled.as_ref())),
            delay: delay.as_deref().map(canonical_delay),
            time_zone: zone.or_else(|| time_zone.as_deref().map(canonical_zone)),
            endpoint: endpoint.as_deref(),
            deliver: deliver.as_deref().map(str::to_ascii_lowercase),
            method: canonical_word(method.as_deref(), Method::default().as_str()),
            headers: canonical_headers(headers.as_deref()),
            additional_info: additional_info.as_ref().map(|info| canonical_json(info, RawJson::MAX_BYTES)),
            format: canonical_word(format.as_deref(), Format::default().as_str()),
            max_attempts: max_attempts.filter(|attempts| *attempts != default.max_attempts),
            timeout_seconds: timeout_seconds.filter(|seconds| *seconds != default.timeout_seconds),
            labels: canonical_labels(labels.iter().flatten().map(|(key, value)| (&**key, &**value))),
            thread_id: thread_id.as_deref(),
            expire_after: expire_after.as_deref().map(canonical_delay),
            recurrence: recurrence.as_ref().map(|it| CanonicalRecurrence::new(it, time_zone.as_deref())),
            paused: paused.unwrap_or_default(),
            body: body.as_ref().map(|body| canonical_json(body, MAX_BODY)),
            success_when: success_when.as_ref().map(canonical_check),
            on_failed: on_failed.as_ref().map(canonical_callback),
            on_completed: on_completed.as_ref().map(canonical_callback),
        };
        // This cannot fail: the form consists of texts and numbers.
        Sha256::of(&serde_json::to_vec(&form).unwrap_or_default())
    }
}

/// A text that is a time counts as its instant.
fn canonical_time<'a>(text: &'a str, read: Option<&DueTime>) -> CanonicalTime<'a> {
    read.map_or(CanonicalTime::Text(text), |due| CanonicalTime::Instant(due.instant().as_millis()))
}

fn canonical_delay(text: &str) -> CanonicalTime<'_> {
    text.parse().map_or(CanonicalTime::Text(text), |delay: Delay| CanonicalTime::Duration(millis(delay.duration())))
}

/// Names of zones are read in any case.
fn canonical_zone(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |zone: Zone| zone.name().to_owned())
}

/// Words are read in any case.
fn canonical_word(word: Option<&str>, default: &str) -> Option<String> {
    word.map(str::to_ascii_lowercase).filter(|word| !word.eq_ignore_ascii_case(default))
}

/// Header names are read in any case, and the order of different headers means nothing.
fn canonical_headers(headers: Option<&[(String, Secret<String>)]>) -> Vec<(String, &str)> {
    let headers = headers.unwrap_or_default().iter();
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.expose().as_str())).collect();
    headers.sort_unstable();
    headers
}

/// The order of labels means nothing.
fn canonical_labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut labels: Vec<_> = labels.collect();
    labels.sort_unstable();
    labels
}

fn canonical_callback(CallbackRequest { endpoint, headers }: &CallbackRequest) -> CanonicalCallback<'_> {
    CanonicalCallback { endpoint: endpoint.as_deref(), headers: canonical_headers(headers.as_deref()) }
}

fn canonical_check(check: &SuccessWhenRequest) -> CanonicalCheck<'_> {
    let SuccessWhenRequest { pointer, equals, absent } = check;
    let equals = equals.as_ref().map(|json| canonical_json(json, SuccessWhen::MAX_EXPECTED));
    CanonicalCheck { pointer: pointer.as_deref(), equals, absent: *absent }
}

/// A value that breaks a rule keeps its text: the request is not accepted, and the value may be large and deep.
fn canonical_json(json: &RawJson, max_bytes: usize) -> String {
    let checked = json.check_within(max_bytes).ok().and_then(|()| canonical(json.as_str()).ok());
    checked.unwrap_or_else(|| json.as_str().to_owned())
}

#[cfg(test)]
#[path = "idempotency_tests.rs"]
mod tests;
