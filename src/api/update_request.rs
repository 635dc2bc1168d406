//! The request to update a conversation: a JSON Merge Patch of its schedule request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::deliver_field::place;
use super::parsed::not_an_object;
use super::{ErrorDetail, Parsed, Problem, ScheduleRequest};
use crate::domain::{
    Callback, Callbacks, ClientId, ConversationId, Delay, DeliveryPolicy, EndpointPolicy, Expected, Format, Headers,
    Method, PeriodUnit, Recurrence, SuccessWhen, Timestamp, Update, WholeConversation,
};
use crate::json::members::{self, Member};
use crate::json::merge;
use crate::scheduler::{Found, Scheduler};

/// The fields that say when.
const TIME: [&str; 4] = ["scheduledTime", "delay", "timeZone", "recurrence"];
/// Those that say from when on a conversation recurs.
const START: [&str; 2] = ["scheduledTime", "delay"];

/// A patch whose form is right: a JSON object.
pub(crate) struct UpdateRequest {
    /// The JSON object. Its values are as they were written.
    patch: String,
    sets_time: bool,
    sets_start: bool,
    /// The errors that the patch has by itself.
    read: Parsed<()>,
}

/// Every field of a schedule request may be left out, and those that are required there cannot be removed.
impl JsonSchema for UpdateRequest {
    fn schema_name() -> Cow<'static, str> {
        "UpdateRequest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ScheduleRequest::json_schema_of_programs(generator);
        let required = schema.remove("required");
        let required: Vec<_> =
            required.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
        for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            if required.contains(&name.as_str()) {
                property["type"] = "string".into();
            }
        }
        schema.insert(
            "description".to_owned(),
            "The fields of a schedule request that change (JSON Merge Patch, RFC 7396). null removes a field.".into(),
        );
        schema
    }
}

/// A stored conversation as its client could have scheduled it. What is `None` was left out, and so are the defaults of what
/// only an endpoint has: a patch with another `deliver` need not remove them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredRequest<'a> {
    conversation_text: &'a str,
    /// The time of a request that does not set one. It is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recurrence: Option<StoredRecurrence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_info: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_when: Option<StoredCheck<'a>>,
    retry: StoredRetry,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failed: Option<StoredCallback<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_completed: Option<StoredCallback<'a>>,
}

#[derive(Serialize)]
struct StoredCallback<'a> {
    endpoint: &'a str,
    headers: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredRetry {
    max_attempts: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoredRecurrence<'a> {
    cron: &'a str,
    time_zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_weeks: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_occurrences: Option<u32>,
    stop_on_failure: bool,
}

#[derive(Serialize)]
struct StoredCheck<'a> {
    pointer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    equals: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
}

impl UpdateRequest {
    /// Reads a patch. Its fields are checked when it is applied.
    ///
    /// # Errors
    /// [`Problem`] if the text is not one JSON object.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Problem> {
        read_members(json).map(|members| Self::new(&members))
    }

    /// The same without one member. `read` has the errors that were found when it was read: they are told together with those
    /// that show when the patch is applied.
    ///
    /// # Errors
    /// [`Problem`] if the text is not one JSON object.
    pub(crate) fn without(json: &[u8], name: &str, read: Parsed<()>) -> Result<Self, Problem> {
        let members = read_members(json)?.into_iter().filter(|member| member.name != name);
        Ok(Self { read, ..Self::new(&members.collect::<Vec<_>>()) })
    }

    fn new(members: &[Member<'_>]) -> Self {
        let sets = |fields: &[&str]| members.iter().any(|member| fields.contains(&member.name.as_str()));
        let patch = members::write(members.iter().map(|member| (&member.name, member.text())));
        Self { patch, sets_time: sets(&TIME), sets_start: sets(&START), read: Parsed::default() }
    }

    /// The schedule request that a stored conversation becomes. Without one, the patch itself is the request.
    ///
    /// # Errors
    /// [`Problem`] if it cannot be applied.
    pub(crate) fn request(&self, stored: Option<&WholeConversation>) -> Result<Parsed<ScheduleRequest>, Problem> {
        let Some(whole) = stored else { return Parsed::from_json(self.patch.as_bytes()) };
        let stored = serde_json::to_string(&StoredRequest::new(whole, self.sets_time)).unwrap_or_default();
        Parsed::from_json(merge(&stored, &self.patch).unwrap_or_default().as_bytes())
    }

    /// The change of a conversation.
    fn apply(
        &self,
        whole: &WholeConversation,
        now: Timestamp,
        endpoints: &EndpointPolicy,
    ) -> Result<Update, Vec<ErrorDetail>> {
        let request = self
            .request(Some(whole))
            .map_err(|_| vec![ErrorDetail { pointer: String::new(), detail: NOT_APPLIED.to_owned() }])?;
        let paused = request.value().paused;
        let new = self.read.clone().check(|()| request.check(|request| request.validate(now, endpoints)))?;
        if whole.conversation.callback_of().is_some() {
            refuse_callbacks(&new.payload.callbacks)?;
        }
        Ok(Update { new, sets_time: self.sets_time, sets_start: self.sets_start, paused, definition: None })
    }
}

fn read_members(json: &[u8]) -> Result<Vec<Member<'_>>, Problem> {
    match members::read(json) {
        (members, Ok(())) => Ok(members),
        (members, Err(error)) => Err(not_an_object(json, &members, &error)),
    }
}

/// Nobody is told how a callback ended.
fn refuse_callbacks(Callbacks { on_failed, on_completed }: &Callbacks) -> Result<(), Vec<ErrorDetail>> {
    let given = [("/onFailed", on_failed.is_some()), ("/onCompleted", on_completed.is_some())];
    let errors: Vec<_> = given
        .into_iter()
        .filter(|(_, is_given)| *is_given)
        .map(|(pointer, _)| ErrorDetail {
            pointer: pointer.to_owned(),
            detail: "is not for a callback; this conversation has callbackOf, so it is one".to_owned(),
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

const NOT_APPLIED: &str = "could not be applied to the conversation";

/// Updates a conversation: the part of the operation that REST and MCP share. `is_expected` says whether the client wants
/// to change the state with this tag.
///
/// # Errors
/// [`Problem`] with all errors in the request, or of the use case.
pub(crate) async fn update(
    scheduler: &Scheduler,
    client: &ClientId,
    id: ConversationId,
    request: &UpdateRequest,
    is_expected: impl Fn(&str) -> bool,
) -> Result<Found, Problem> {
    let apply = |whole: &WholeConversation, now| {
        let update = request.apply(whole, now, scheduler.endpoint_policy());
        // The error is often in the time of the request, so the problem has the server's time.
        update.map_err(|errors| Problem::invalid(errors).server_time(now))
    };
    scheduler.update(client, id, is_expected, apply).await
}

impl<'a> StoredRequest<'a> {
    fn new(WholeConversation { conversation, payload }: &'a WholeConversation, sets_time: bool) -> Self {
        let target = conversation.destination().target();
        let DeliveryPolicy { max_attempts, timeout_seconds } = conversation.policy();
        let (method, format) = (target.map(|target| target.method), conversation.format());
        Self {
            conversation_text: &payload.text,
            delay: (!sets_time).then_some("0s"),
            recurrence: conversation.series().map(|series| StoredRecurrence::from(&series.recurrence)),
            endpoint: target.map(|target| target.endpoint.as_str()),
            deliver: place(conversation.destination()),
            method: method.filter(|method| *method != Method::default()).map(Method::as_str),
            headers: stored_headers(&payload.headers),
            additional_info: payload.info.as_ref().and_then(|info| serde_json::from_str(info.as_str()).ok()),
            format: (format != Format::default()).then(|| format.as_str()),
            body: payload.body.as_ref().and_then(|body| serde_json::from_str(&body.json).ok()),
            success_when: payload.success_when.as_ref().map(StoredCheck::from),
            retry: StoredRetry { max_attempts },
            timeout_seconds: Some(timeout_seconds).filter(|time| *time != DeliveryPolicy::default().timeout_seconds),
            labels: conversation.labels().iter().collect(),
            thread_id: conversation.thread_id().map(crate::domain::ThreadId::as_str),
            expire_after: conversation.expiry().map(|expiry| Delay::from(expiry.after).to_string()),
            on_failed: payload.callbacks.on_failed.as_ref().map(StoredCallback::from),
            on_completed: payload.callbacks.on_completed.as_ref().map(StoredCallback::from),
        }
    }
}

fn stored_headers(headers: &Headers) -> BTreeMap<&str, &str> {
    headers.iter().map(|(name, value)| (name, value.expose().as_str())).collect()
}

impl<'a> From<&'a Callback> for StoredCallback<'a> {
    fn from(Callback { endpoint, headers }: &'a Callback) -> Self {
        Self { endpoint: endpoint.as_str(), headers: stored_headers(headers) }
    }
}

impl<'a> From<&'a SuccessWhen> for StoredCheck<'a> {
    fn from(SuccessWhen { pointer, expected }: &'a SuccessWhen) -> Self {
        let equals = match expected {
            Expected::Equals(json) => serde_json::from_str(json).ok(),
            Expected::Absent => None,
        };
        Self { pointer, equals, absent: *expected == Expected::Absent }
    }
}

impl<'a> From<&'a Recurrence> for StoredRecurrence<'a> {
    fn from(recurrence: &'a Recurrence) -> Self {
        let Recurrence { cron, zone, period: _, end, max_occurrences, stop_on_failure } = recurrence;
        Self {
            cron: cron.as_str(),
            time_zone: zone.name(),
            every_weeks: recurrence.every(PeriodUnit::Week),
            every_days: recurrence.every(PeriodUnit::Day),
            end_time: end.map(|end| end.to_string()),
            max_occurrences: *max_occurrences,
            stop_on_failure: *stop_on_failure,
        }
    }
}
