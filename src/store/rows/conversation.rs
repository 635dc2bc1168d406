//! The value of a conversation's main row.
//!
//! The field names are those of the first release; the names in the domain may differ (docs/glossary.md). The fixtures
//! in `tests/fixtures/rows` fix every byte of the form.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::callback::CallbackRows;
use super::destination::{PlaceRow, TargetRow, destination};
use super::name::NamedRow;
use super::payload::{BodyRow, SuccessWhenRow, info_row, restore_info};
use super::scheduled_by::{ByRow, scheduled_by};
use super::secrets::Secrets;
use super::series::SeriesRow;
use super::subscription::SettledRow;
use super::{SealedSecrets, StoredPayload};
use crate::domain::{
    Attempt, AttemptResult, AttemptStart, ClientId, Conversation, ConversationId, DeliveryPolicy, Endpoint, ErrorClass,
    Expiry, Format, Labels, Lease, LeaseToken, Named, Outcome, Payload, Settled, State, StoredConversation,
    TextExcerpt, ThreadId, Timestamp, TraceContext, ZoneRecord, millis,
};
use crate::json::{pairs, text};

#[derive(Serialize, Deserialize)]
pub(super) struct ConversationRow<'a> {
    #[serde(with = "text")]
    id: ConversationId,
    client: Cow<'a, str>,
    created: i64,
    updated: i64,
    due: i64,
    /// None if the caller named no zone, and in rows of the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<ZoneRow<'a>>,
    generation: u32,
    content: ContentRow<'a>,
    /// None if `deliver` has another place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<TargetRow<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deliver: Option<PlaceRow>,
    policy: PolicyRow,
    state: StateRow<'a>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptRow<'a>>,
    #[serde(rename = "attemptsForgiven", default, skip_serializing_if = "is_zero")]
    attempts_before_redelivery: u32,
    /// This and the fields below were added after the first release. They are left out where they are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    labels: pairs::Pairs<'a>,
    #[serde(rename = "threadId", default, skip_serializing_if = "Option::is_none")]
    thread_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry: Option<ExpiryRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series: Option<SeriesRow<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    named: Option<NamedRow<'a>>,
    #[serde(rename = "callbackOf", default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    callback_of: Option<ConversationId>,
    /// The `traceparent` of the request that scheduled it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    trace: Option<TraceContext>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<ByRow<'a>>,
    /// The secrets, encrypted. Rows of version 1 have them in `content` and `target` instead.
    #[serde(default)]
    sealed: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpiryRow {
    after_ms: u64,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct ZoneRow<'a> {
    name: Cow<'a, str>,
    /// The release of the IANA database.
    database: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wall: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct ContentRow<'a> {
    /// None if the payload has a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Cow<'a, RawValue>>,
    #[serde(default, with = "text")]
    format: Format,
    #[serde(default, skip_serializing)]
    body: Option<BodyRow<'a>>,
    #[serde(rename = "successWhen", default, skip_serializing)]
    success_when: Option<SuccessWhenRow<'a>>,
    #[serde(default, skip_serializing)]
    callbacks: CallbackRows<'a>,
    /// The size of the payload, if the payload has a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// The part of `bytes` that is stored, if it is another number. Rows of earlier releases do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<usize>,
    /// The beginning of the text, if the payload has a row of its own. Rows of earlier releases do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excerpt: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyRow {
    max_attempts: u32,
    timeout_seconds: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum StateRow<'a> {
    Scheduled,
    Delivering { attempt: StartRow, lease: LeaseRow },
    Waiting { next_attempt: i64 },
    Completed,
    Failed { reason: Cow<'a, str> },
    Cancelled,
}

#[derive(Serialize, Deserialize)]
struct StartRow {
    number: u32,
    started: i64,
}

#[derive(Serialize, Deserialize)]
struct LeaseRow {
    until: i64,
    token: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptRow<'a> {
    number: u32,
    started: i64,
    #[serde(with = "text")]
    outcome: Outcome,
    duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    error: Option<ErrorClass>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    response_excerpt: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    settled: Vec<SettledRow>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
pub(super) const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl<'a> ConversationRow<'a> {
    /// The row with this payload. Without one, the payload has a row of its own.
    pub(super) fn new(
        conversation: &'a Conversation,
        payload: Option<&'a Payload>,
        secrets: &'a SealedSecrets,
    ) -> Result<Self, serde_json::Error> {
        let (bytes, stored) = (conversation.payload_bytes(), conversation.stored_bytes());
        let excerpt = if payload.is_none() { conversation.text_excerpt() } else { None };
        let target = conversation.destination().target();
        let DeliveryPolicy { max_attempts, timeout_seconds } = conversation.policy();
        Ok(Self {
            id: conversation.id(),
            client: conversation.client().as_str().into(),
            created: conversation.created().as_millis(),
            updated: conversation.updated().as_millis(),
            due: conversation.due().as_millis(),
            zone: conversation.zone().map(ZoneRow::from),
            generation: conversation.generation(),
            content: ContentRow {
                text: payload.map(|payload| payload.text.as_str().into()),
                info: payload.map(info_row).transpose()?.flatten(),
                format: conversation.format(),
                body: None,
                success_when: None,
                callbacks: CallbackRows::default(),
                bytes: payload.is_none().then_some(bytes),
                stored: (payload.is_none() && stored != bytes).then_some(stored),
                excerpt: excerpt.map(|excerpt| excerpt.as_str().into()),
            },
            target: target.map(TargetRow::from),
            deliver: PlaceRow::of(conversation.destination()),
            policy: PolicyRow { max_attempts, timeout_seconds },
            state: conversation.state().into(),
            attempts: conversation.attempts().iter().map(AttemptRow::from).collect(),
            attempts_before_redelivery: conversation.attempts_before_redelivery(),
            labels: conversation.labels().iter().map(|(key, value)| (key.into(), value.into())).collect(),
            thread_id: conversation.thread_id().map(|id| id.as_str().into()),
            expiry: conversation.expiry().map(ExpiryRow::from),
            series: conversation.series().map(SeriesRow::from),
            named: conversation.named().map(NamedRow::from),
            callback_of: conversation.callback_of(),
            trace: conversation.trace(),
            by: ByRow::of(conversation.scheduled_by()),
            sealed: Some(secrets.text.as_str().into()),
        })
    }
}

impl<'a> From<&'a ZoneRecord> for ZoneRow<'a> {
    fn from(zone: &'a ZoneRecord) -> Self {
        let ZoneRecord { name, database, wall } = zone;
        Self { name: name.into(), database: database.into(), wall: wall.as_ref().map(Cow::from) }
    }
}

impl From<ZoneRow<'_>> for ZoneRecord {
    fn from(row: ZoneRow<'_>) -> Self {
        let ZoneRow { name, database, wall } = row;
        Self { name: name.into_owned(), database: database.into_owned(), wall: wall.map(Cow::into_owned) }
    }
}

impl From<Expiry> for ExpiryRow {
    fn from(Expiry { after, at }: Expiry) -> Self {
        Self { after_ms: millis(after), at: at.as_millis() }
    }
}

impl From<ExpiryRow> for Expiry {
    fn from(ExpiryRow { after_ms, at }: ExpiryRow) -> Self {
        Self { after: Duration::from_millis(after_ms), at: Timestamp::from_millis(at) }
    }
}

impl<'a> From<&'a State> for StateRow<'a> {
    fn from(state: &'a State) -> Self {
        match state {
            State::Scheduled => Self::Scheduled,
            State::Delivering { attempt, lease } => Self::Delivering {
                attempt: StartRow { number: attempt.number, started: attempt.started.as_millis() },
                lease: LeaseRow { until: lease.until.as_millis(), token: lease.token.as_u64() },
            },
            State::Waiting { next_attempt } => Self::Waiting { next_attempt: next_attempt.as_millis() },
            State::Completed => Self::Completed,
            State::Failed { reason } => Self::Failed { reason: reason.into() },
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl<'a> From<&'a Attempt> for AttemptRow<'a> {
    fn from(Attempt { start, result }: &'a Attempt) -> Self {
        Self {
            number: start.number,
            started: start.started.as_millis(),
            outcome: result.outcome,
            duration_ms: result.duration_ms,
            http_status: result.http_status,
            error: result.error,
            response_excerpt: result.response_excerpt.as_str().into(),
            settled: result.settled.iter().map(SettledRow::from).collect(),
        }
    }
}

/// A field of the row has a value that no conversation can have.
#[derive(Debug, thiserror::Error)]
#[error("the field {0} has an invalid value")]
pub(super) struct InvalidField(&'static str);

impl ConversationRow<'_> {
    /// The encrypted part.
    pub(super) fn sealed(&self) -> Option<&str> {
        self.sealed.as_deref()
    }

    /// What stands for the encrypted part where it is not needed.
    pub(super) fn outline(&self) -> Option<Secrets<'static>> {
        let endpoint = || self.target.as_ref().map(|target| target.origin.to_string().into());
        self.sealed().map(|_| Secrets { endpoint: endpoint(), ..Secrets::default() })
    }

    /// The conversation, with its payload or the place of the payload. `opened` is the encrypted part, if there is one.
    pub(super) fn read(
        self,
        opened: Option<Secrets<'_>>,
    ) -> Result<(Conversation, StoredPayload, Option<SealedSecrets>), InvalidField> {
        let row = self;
        let client: ClientId = row.client.parse().map_err(|_| InvalidField("client"))?;
        let ContentRow { text, info, format, body, success_when, callbacks, bytes, stored, excerpt } = row.content;
        let (method, endpoint, headers) = row.target.map(TargetRow::parts).unwrap_or_default();
        let mut secrets = opened.unwrap_or(Secrets { endpoint, headers, body, success_when, callbacks });
        let endpoint = secrets.endpoint.take().map(|endpoint| Endpoint::from_stored(endpoint.into_owned()));
        let sealed = row.sealed.map(|sealed| SealedSecrets::new(sealed.into_owned(), endpoint.clone()));
        let destination = destination(method, endpoint, row.deliver).ok_or(InvalidField("target"))?;
        let (payload_bytes, stored_bytes, text_excerpt, payload) = match (text, bytes) {
            (Some(text), None) => {
                let payload = secrets.restore(text, info.map(restore_info));
                let excerpt = Some(TextExcerpt::of(&payload.text));
                (payload.bytes(), payload.stored_bytes(), excerpt, StoredPayload::InMainRow(Box::new(payload)))
            }
            (None, Some(bytes)) => {
                let excerpt = excerpt.as_deref().map(TextExcerpt::from_stored);
                (bytes, stored.unwrap_or(bytes), excerpt, StoredPayload::InOwnRow)
            }
            _ => return Err(InvalidField("content")),
        };
        let series = row.series.map(|series| series.read().ok_or(InvalidField("series"))).transpose()?;
        let conversation = StoredConversation {
            id: row.id,
            client,
            created: Timestamp::from_millis(row.created),
            updated: Timestamp::from_millis(row.updated),
            due: Timestamp::from_millis(row.due),
            zone: row.zone.map(ZoneRecord::from),
            generation: row.generation,
            payload_bytes,
            stored_bytes,
            text_excerpt,
            format,
            destination,
            policy: DeliveryPolicy {
                max_attempts: row.policy.max_attempts,
                timeout_seconds: row.policy.timeout_seconds,
            },
            state: row.state.into(),
            attempts: row.attempts.into_iter().map(Attempt::from).collect(),
            attempts_before_redelivery: row.attempts_before_redelivery,
            labels: Labels::from_stored(row.labels.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned()))),
            thread_id: row.thread_id.map(|id| ThreadId::from_stored(id.into_owned())),
            expiry: row.expiry.map(Expiry::from),
            series,
            named: row.named.map(Named::from),
            callback_of: row.callback_of,
            by: scheduled_by(row.by, row.trace),
        };
        Ok((conversation.into(), payload, sealed))
    }
}

impl From<StateRow<'_>> for State {
    fn from(row: StateRow<'_>) -> Self {
        match row {
            StateRow::Scheduled => Self::Scheduled,
            StateRow::Delivering { attempt: StartRow { number, started }, lease: LeaseRow { until, token } } => {
                Self::Delivering {
                    attempt: AttemptStart { number, started: Timestamp::from_millis(started) },
                    lease: Lease { until: Timestamp::from_millis(until), token: LeaseToken::from_u64(token) },
                }
            }
            StateRow::Waiting { next_attempt } => Self::Waiting { next_attempt: Timestamp::from_millis(next_attempt) },
            StateRow::Completed => Self::Completed,
            StateRow::Failed { reason } => Self::Failed { reason: reason.into_owned() },
            StateRow::Cancelled => Self::Cancelled,
        }
    }
}

impl From<AttemptRow<'_>> for Attempt {
    fn from(row: AttemptRow<'_>) -> Self {
        Self {
            start: AttemptStart { number: row.number, started: Timestamp::from_millis(row.started) },
            result: AttemptResult {
                outcome: row.outcome,
                duration_ms: row.duration_ms,
                http_status: row.http_status,
                error: row.error,
                response_excerpt: row.response_excerpt.into_owned(),
                settled: row.settled.into_iter().map(Settled::from).collect(),
            },
        }
    }
}
