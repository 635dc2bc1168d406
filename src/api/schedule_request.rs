//! The schedule request as callers write it, and its validation.

use std::collections::BTreeMap;
use std::iter;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::field_errors::FieldErrors;
use super::time_fields::{self, MAX_TIME};
use super::{
    CallbackRequest, ErrorDetail, FromObject, ObjectReader, RecurrenceRequest, SuccessWhenRequest, Synonyms,
    body_field, deliver_field,
};
use crate::domain::{
    AdditionalInfo, Callbacks, Delay, DeliveryPolicy, EndpointHost, EndpointPolicy, Format, Headers, InvalidDelay,
    Labels, Method, NewConversation, Note, Payload, ScheduledBy, Secret, ThreadId, Timestamp, UnknownWord, When,
};
use crate::json::RawJson;

/// A conversation to schedule.
// Every field is optional, so that `validate` can report all errors at once. Language models read the documentation of
// the type and its fields.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleRequest {
    /// The text to deliver: 1 byte to 192 KiB of UTF-8, without NUL characters.
    #[schemars(required, length(min = 1, max = MAX_TEXT))]
    pub conversation_text: Option<String>,
    /// The time of delivery, as an RFC 3339 time such as 2030-01-31T09:30:00+01:00, 2030-01-31T08:30:00Z or, together
    /// with timeZone, 2030-01-31T09:30:00. Exactly one of scheduledTime and delay is required, unless there is a recurrence. The time may be at most
    /// 60 seconds in the past, which means now, and ten years ahead. Responses have the server's time in serverTime.
    #[schemars(length(min = 1, max = MAX_TIME))]
    pub scheduled_time: Option<String>,
    /// The time from now until the delivery, such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M. Use it instead of scheduledTime
    /// when the person says "in 5 minutes". A day has 24 hours.
    #[schemars(length(min = 1, max = MAX_TIME))]
    pub delay: Option<String>,
    /// When the conversation recurs, for "every Friday at nine". scheduledTime or delay is then the time from which it
    /// recurs; without both it is now.
    pub recurrence: Option<RecurrenceRequest>,
    /// Whether a conversation that recurs waits, without any occurrence, until it is resumed with paused: false.
    pub paused: Option<bool>,
    /// The person's time zone, as a name of the IANA database such as Europe/Berlin or America/Chicago. A scheduledTime
    /// without a UTC offset is the time of day in this zone, and without timeZone it is UTC. Responses then have the
    /// time in this zone in localTime.
    #[schemars(length(min = 1, max = MAX_TIME))]
    pub time_zone: Option<String>,
    /// The endpoint that receives the text: an https URL of at most 2048 characters, without a user name or password. It is
    /// required, unless there is a deliver.
    #[schemars(length(min = 1, max = EndpointPolicy::MAX_BYTES), extend("format" = "uri"))]
    pub endpoint: Option<String>,
    /// inbox: nothing is sent. From its time on, the text waits in the inbox of this client until it is received with
    /// receiveConversations and acknowledged. Use it for a receiver that has no URL, such as an agent on a laptop. events: the
    /// text is sent to the programs that have subscribed to conversation.due over MCP. Both have no endpoint, method, headers,
    /// format, body or successWhen, and inbox has no timeoutSeconds.
    #[schemars(extend("enum" = deliver_field::PLACES))]
    pub deliver: Option<String>,
    /// The HTTP method. The default is POST. GET and DELETE are sent without a body.
    #[schemars(extend("enum" = Method::ALL.map(Method::as_str)))]
    pub method: Option<String>,
    /// HTTP headers for the endpoint, by name; at most 32. No response shows their values.
    #[schemars(with = "Option<BTreeMap<String, String>>", extend("maxProperties" = Headers::MAX_COUNT))]
    pub headers: Option<Vec<(String, Secret<String>)>>,
    /// A JSON object that is delivered with the text; at most 16 KiB.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub additional_info: Option<RawJson>,
    /// The form of the delivered body: json (the default) is an object that contains the text; text is the text alone;
    /// cloudevents is a CloudEvent with the object of json as its data.
    #[schemars(extend("enum" = Format::ALL.map(Format::as_str)))]
    pub format: Option<String>,
    /// A JSON object that is sent instead of the format's body, for an endpoint that expects a body of its own. Inside its
    /// strings these are replaced: {{conversationText}}, {{conversationId}}, {{scheduledTime}}, {{occurrence}}, {{name}}, and
    /// {{additionalInfo.x.y}} by that value of additionalInfo. For Slack: {"text": "{{conversationText}}"}. Write two
    /// braces of your own as {{{{. At most 64 KiB.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub body: Option<RawJson>,
    /// A check on the response of an endpoint that answers 200 also when it fails, such as {"pointer": "/ok", "equals":
    /// true} or {"pointer": "/error", "absent": true}. If a 2xx response does not meet it, the attempt has failed and is
    /// made again. Without it, every 2xx response is a success.
    pub success_when: Option<SuccessWhenRequest>,
    /// The rules for failed attempts.
    pub retry: Option<RetryRequest>,
    /// The longest time that one attempt may take, in seconds. The default is 30.
    #[schemars(range(min = 1, max = MAX_TIMEOUT_SECONDS))]
    pub timeout_seconds: Option<u32>,
    /// Labels by which you find the conversation again, by key; at most 8. A key has 1 to 32 characters of a-z, 0-9, '.',
    /// '_' and '-'. A value has at most 64 characters.
    #[schemars(with = "Option<BTreeMap<String, String>>", extend("maxProperties" = Labels::MAX_COUNT))]
    pub labels: Option<Vec<(String, String)>>,
    /// The thread or session that the conversation belongs to: at most 128 visible ASCII characters. The endpoint gets it
    /// with the text, so that it can resume the same session.
    #[schemars(length(min = 1, max = ThreadId::MAX))]
    pub thread_id: Option<String>,
    /// How long after scheduledTime the text is still useful, such as 90s, 5m, 2h, 7d or PT5M. If an attempt cannot begin
    /// within this time, the conversation fails with the reason "expired". Without it, the text is delivered however late.
    #[schemars(length(min = 1, max = 32))]
    pub expire_after: Option<String>,
    /// Who is told when the conversation has failed. The news is a conversation of its own, which is delivered at once and
    /// has callbackOf. If it recurs, each occurrence that fails is told.
    pub on_failed: Option<CallbackRequest>,
    /// The same when the endpoint has accepted the conversation.
    pub on_completed: Option<CallbackRequest>,
}

/// The rules for failed attempts.
#[derive(Clone, Copy, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryRequest {
    /// The number of attempts after which the conversation fails. The default is 8.
    #[schemars(range(min = 1, max = MAX_ATTEMPTS))]
    pub max_attempts: Option<u32>,
}

/// The longest text, in bytes of UTF-8.
const MAX_TEXT: usize = 192 * 1024;
const MAX_ATTEMPTS: u32 = 20;
const MAX_TIMEOUT_SECONDS: u32 = 60;
/// The shortest time within which a delivery can be asked for. It is longer than the usual lateness.
const MIN_EXPIRE_AFTER: Duration = Duration::from_secs(1);
/// The longest one: ten years.
const MAX_EXPIRE_AFTER: Duration = Duration::from_hours(3653 * 24);

impl FromObject for ScheduleRequest {
    const SYNONYMS: Synonyms = &[
        ("conversationText", &["text", "message", "content", "prompt", "conversation", "reminder", "payload"]),
        time_fields::SCHEDULED_TIME,
        time_fields::DELAY,
        time_fields::RECURRENCE,
        time_fields::TIME_ZONE,
        (
            "endpoint",
            &["url", "uri", "webhook", "webhookurl", "callback", "callbackurl", "target", "destination", "to"],
        ),
        ("deliver", &["delivery", "deliverto", "deliverymode", "via", "inbox", "pull", "event"]),
        ("method", &["httpmethod", "verb"]),
        ("headers", &["httpheaders"]),
        ("additionalInfo", &["metadata", "info", "data", "additional", "context", "extra"]),
        ("body", &["bodytemplate", "template", "json", "requestbody", "postdata"]),
        ("successWhen", &["successif", "success", "successcondition", "expect", "responsecheck", "assert"]),
        ("format", &["bodyformat", "contenttype"]),
        ("retry", &["retries", "maxretries", "maxattempts", "attempts", "retrypolicy"]),
        ("timeoutSeconds", &["timeout", "timeoutms"]),
        ("labels", &["label", "tags", "tag"]),
        ("threadId", &["thread", "session", "sessionid"]),
        ("expireAfter", &["expires", "expiresafter", "expiresin", "expiry", "ttl", "timetolive", "maxage", "validfor"]),
        ("onFailed", &["onfailure", "onfail", "onerror", "failurecallback", "failureurl", "errorcallback"]),
        ("onCompleted", &["oncomplete", "onsuccess", "ondelivered", "successcallback", "successurl"]),
        ("the header Idempotency-Key", &["idempotencykey"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            conversation_text: object.string("conversationText"),
            scheduled_time: object.string_or_number("scheduledTime"),
            delay: object.text("delay"),
            recurrence: object.object("recurrence", RecurrenceRequest::EXAMPLE),
            paused: object.boolean("paused"),
            time_zone: object.string("timeZone"),
            endpoint: object.string("endpoint"),
            deliver: object.string("deliver"),
            method: object.string("method"),
            headers: read_headers(object),
            additional_info: object.json("additionalInfo"),
            format: object.string("format"),
            body: object.json("body"),
            success_when: object.object("successWhen", SuccessWhenRequest::EXAMPLE),
            retry: object.object("retry", r#"{"maxAttempts": 3}"#),
            timeout_seconds: object.whole_number("timeoutSeconds", 1..=MAX_TIMEOUT_SECONDS),
            labels: object.strings("labels", r#"{"team": "ops"}"#),
            thread_id: object.string("threadId"),
            expire_after: object.string_or_number("expireAfter"),
            on_failed: object.object("onFailed", CallbackRequest::EXAMPLE),
            on_completed: object.object("onCompleted", CallbackRequest::EXAMPLE),
        }
    }
}

impl FromObject for RetryRequest {
    const SYNONYMS: Synonyms =
        &[("maxAttempts", &["attempts", "maxretries", "retries", "max", "count", "times", "limit"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { max_attempts: object.whole_number("maxAttempts", 1..=MAX_ATTEMPTS) }
    }
}

impl ScheduleRequest {
    /// The schema for programs, by reference.
    pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<Self>();
        let schema = Self::json_schema_of_programs(generator).to_value();
        generator.definitions_mut().insert(Self::schema_name().into_owned(), schema);
        reference
    }

    /// The schema for programs, which may also send arrays and strings as the body. Language models are offered only
    /// objects, because they write strings that contain JSON.
    pub(super) fn json_schema_of_programs(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Self::json_schema(generator);
        if let Some(body) = schema.pointer_mut("/properties/body").and_then(Value::as_object_mut) {
            body.remove("type");
            body.remove("additionalProperties");
            let forms = ["object", "string", "null"].map(|kind| json!({ "type": kind }));
            let array = json!({ "type": "array", "items": {} });
            body.insert("anyOf".to_owned(), forms.into_iter().chain([array]).collect());
        }
        schema
    }

    pub(super) fn when(&self) -> When<'_> {
        let Self { scheduled_time, delay, time_zone, .. } = self;
        When { scheduled_time: scheduled_time.as_deref(), delay: delay.as_deref(), time_zone: time_zone.as_deref() }
    }

    /// How the time is read, if the caller could have meant another one. It does not depend on when the request came.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let when = self.when();
        let scheduled = when.scheduled().map(|due| due.notes().to_vec()).unwrap_or_default();
        let recurs_in_utc = self.recurrence.as_ref().is_some_and(|it| !it.written().names_zone(&when));
        scheduled.into_iter().chain(recurs_in_utc.then_some(Note::RecursInUtc)).collect()
    }

    /// The hosts that it names: that of the endpoint, and those of the callbacks.
    pub(crate) fn hosts(&self, endpoints: &EndpointPolicy) -> Vec<EndpointHost> {
        let callbacks = self.on_failed.iter().chain(&self.on_completed).map(|callback| callback.endpoint.as_deref());
        let named = iter::once(self.endpoint.as_deref()).chain(callbacks).flatten();
        named.filter_map(|url| endpoints.check(url).ok()?.endpoint_host()).collect()
    }

    /// Checks all fields but the numbers, which are checked where they are read.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub fn validate(mut self, now: Timestamp, endpoints: &EndpointPolicy) -> Result<NewConversation, Vec<ErrorDetail>> {
        let mut errors = FieldErrors::default();
        let due = time_fields::resolve(&self.when(), self.recurrence.as_ref(), now);
        let text = errors.check("/conversationText", check_text(self.conversation_text.take()));
        let due = due.map_err(|wrong| errors.0.extend(wrong)).ok();
        let paused = self.paused.unwrap_or_default();
        if paused && self.recurrence.is_none() {
            errors.add("/paused", "is for a conversation with a recurrence; this one has none");
        }
        let (destination, method) = deliver_field::check(&self, endpoints, &mut errors);
        let headers = check_headers(self.headers, "/headers", &mut errors);
        let info = self.additional_info;
        errors.check("/additionalInfo", info.as_ref().map_or(Ok(()), RawJson::check));
        let format = errors.check("/format", word(self.format.as_deref()));
        let body = body_field::check(self.body, (text.as_deref(), info.as_ref()), (method, format), &mut errors);
        deliver_field::check_size(destination.as_ref(), (text.as_deref(), info.as_ref()), &mut errors);
        let success_when = self.success_when.and_then(|check| check.check(&mut errors));
        let labels = Labels::parse(self.labels.unwrap_or_default()).unwrap_or_else(|problems| {
            for problem in problems {
                errors.add("/labels", problem);
            }
            Labels::default()
        });
        let thread_id = errors.check("/threadId", optional(self.thread_id.as_deref(), str::parse));
        let expire_after = errors.check("/expireAfter", optional(self.expire_after.as_deref(), check_expire_after));
        let callbacks = Callbacks {
            on_failed: self.on_failed.and_then(|callback| callback.check("/onFailed", endpoints, &mut errors)),
            on_completed: self.on_completed.and_then(|callback| callback.check("/onCompleted", endpoints, &mut errors)),
        };
        let default = DeliveryPolicy::default();
        let max_attempts = self.retry.and_then(|r| r.max_attempts).unwrap_or(default.max_attempts);
        let timeout_seconds = self.timeout_seconds.unwrap_or(default.timeout_seconds);
        match (text, due, destination, format) {
            (Some(text), Some((due, recurrence)), Some(destination), Some(format)) if errors.0.is_empty() => {
                Ok(NewConversation {
                    due,
                    payload: Payload {
                        text,
                        info: info.map(|info| AdditionalInfo::from_json(info.into_text())),
                        headers,
                        body,
                        success_when,
                        callbacks,
                    },
                    format,
                    destination,
                    policy: DeliveryPolicy { max_attempts, timeout_seconds },
                    labels,
                    thread_id: thread_id.flatten(),
                    expire_after: expire_after.flatten(),
                    recurrence,
                    paused,
                    by: ScheduledBy::default(),
                })
            }
            _ => Err(errors.0),
        }
    }
}

/// Headers by name.
pub(super) fn read_headers(object: &mut ObjectReader<'_>) -> Option<Vec<(String, Secret<String>)>> {
    let headers = object.strings("headers", r#"{"X-Name": "value"}"#)?;
    Some(headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

/// The headers of the field at this pointer.
pub(super) fn check_headers(
    headers: Option<Vec<(String, Secret<String>)>>,
    pointer: &str,
    errors: &mut FieldErrors,
) -> Headers {
    Headers::parse(headers.unwrap_or_default()).unwrap_or_else(|problems| {
        for problem in problems {
            errors.add(pointer, problem);
        }
        Headers::default()
    })
}

fn check_text(text: Option<String>) -> Result<String, String> {
    match text {
        None => Err("is required: the text to deliver".to_owned()),
        Some(text) if text.is_empty() => Err("must not be empty".to_owned()),
        Some(text) if text.len() > MAX_TEXT => {
            Err(format!("has {} bytes of UTF-8; at most {MAX_TEXT} bytes are accepted", text.len()))
        }
        Some(text) if text.contains('\0') => Err("must not contain the NUL character".to_owned()),
        Some(text) => Ok(text),
    }
}

fn check_expire_after(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<Delay>().map_err(|error| match error {
        InvalidDelay::Calendar => "has months or years, which differ in length; use days, such as 30d".to_owned(),
        _ => error.to_string(),
    })?;
    let (min, max) = (Delay::from(MIN_EXPIRE_AFTER), Delay::from(MAX_EXPIRE_AFTER));
    if (min..=max).contains(&duration) {
        return Ok(duration.duration());
    }
    Err(format!("is {duration}; it must be from {min} to {max}"))
}

/// A field that may be left out.
fn optional<T, E: ToString>(text: Option<&str>, read: impl FnOnce(&str) -> Result<T, E>) -> Result<Option<T>, String> {
    text.map(read).transpose().map_err(|error| error.to_string())
}

/// A field with one word out of several.
pub(super) fn word<T: Default + FromStr<Err = UnknownWord>>(text: Option<&str>) -> Result<T, String> {
    text.map_or_else(|| Ok(T::default()), str::parse).map_err(|error: UnknownWord| error.to_string())
}

#[cfg(test)]
#[path = "schedule_request_tests.rs"]
mod tests;
