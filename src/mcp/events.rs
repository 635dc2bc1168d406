//! The Events extension of the protocol: a program subscribes to what happens to the conversations of its client.

use std::borrow::Cow;
use std::time::Duration;

use rmcp::model::{ErrorCode, ErrorData};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::tools::{or_null, schema};
use crate::api::Problem;
use crate::auth::Principal;
use crate::delivery::{Granted, JsonBody, News, SubscribeError, SubscriptionKey, Subscriptions, subscriber_secret};
use crate::domain::{EventFilter, EventName, EventsText, Labels, Scope, Subscription};
use crate::json::StrictObject;
use crate::scheduler::{Scheduler, SchedulerError};

/// The name of the extension.
pub(super) const EXTENSION: &str = "io.modelcontextprotocol/events";

/// A method of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventsMethod {
    List,
    Subscribe,
    Unsubscribe,
}

impl EventsMethod {
    pub(super) fn named(method: &str) -> Option<Self> {
        Some(match method {
            "events/list" => Self::List,
            "events/subscribe" => Self::Subscribe,
            "events/unsubscribe" => Self::Unsubscribe,
            _ => return None,
        })
    }

    /// Checks the scopes of the caller. A subscription reads texts and sends them to a URL.
    pub(super) fn authorize(self, caller: &Principal) -> Result<(), Problem> {
        match self {
            Self::List => Ok(()),
            Self::Subscribe => Ok(caller.require(Scope::Read).and_then(|()| caller.require(Scope::Write))?),
            Self::Unsubscribe => Ok(caller.require(Scope::Write)?),
        }
    }
}

/// The parameters of `events/subscribe` and `events/unsubscribe`. Members that nobody knows are ignored, as everywhere in the
/// protocol.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<Arguments<'a>>,
    #[serde(borrow)]
    delivery: Delivery<'a>,
    #[serde(default)]
    ttl_ms: Option<u64>,
    /// A position from which events should be replayed. There is none.
    #[serde(default)]
    cursor: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    conversation_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow, default)]
    mode: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    secret: Option<Cow<'a, str>>,
}

const WEBHOOK: &str = "webhook";

/// The form of the parameters. The error of serde is not used, because it may quote the secret.
const FORM: &str = "params must have name, delivery {mode, url, secret}, and may have arguments {conversationId, channel} \
                    and ttlMs";

/// The reason why a method has no result.
enum Refusal {
    InvalidParams(String),
    NotFound(&'static str),
    Forbidden(String),
    TooMany,
    Unsupported(String),
    Callback(&'static str),
    Store,
}

impl Refusal {
    fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::InvalidParams(format!("{field} {problem}"))
    }

    fn into_rmcp(self, text: EventsText) -> ErrorData {
        let code = |draft, accepted| {
            ErrorCode(match text {
                EventsText::Draft => draft,
                EventsText::Final => accepted,
            })
        };
        let max = Subscription::MAX_PER_CLIENT;
        match self {
            Self::InvalidParams(problem) => ErrorData::invalid_params(problem, None),
            Self::NotFound(kind) => {
                let problem = format!("there is no such {kind}");
                ErrorData::new(code(-32011, -32023), problem, Some(json!({ "kind": kind })))
            }
            Self::Forbidden(problem) => {
                let data = json!({ "reason": "hostNotApproved" });
                ErrorData::new(code(-32012, -32024), problem, Some(data))
            }
            Self::TooMany => {
                let problem = format!("the client has {max} subscriptions; unsubscribe from one that is not needed");
                let data = json!({ "limit": "subscriptions", "max": max });
                ErrorData::new(code(-32013, -32025), problem, Some(data))
            }
            Self::Unsupported(mode) => {
                let data = json!({ "feature": "deliveryMode", "value": mode });
                ErrorData::new(code(-32014, -32026), "delivery.mode must be webhook", Some(data))
            }
            Self::Callback(reason) => {
                let problem = "the receiver at delivery.url did not return the challenge";
                ErrorData::new(code(-32015, -32027), problem, Some(json!({ "reason": reason })))
            }
            Self::Store => ErrorData::internal_error("the store is not available; try again", None),
        }
    }
}

impl From<SubscribeError> for Refusal {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Url(problem) => Self::invalid("delivery.url", problem),
            SubscribeError::TooMany => Self::TooMany,
            SubscribeError::Callback(reason) => Self::Callback(reason),
            SubscribeError::Store(error) => {
                tracing::warn!(%error, "a subscription was not written");
                Self::Store
            }
        }
    }
}

impl From<SchedulerError> for Refusal {
    fn from(error: SchedulerError) -> Self {
        match error {
            SchedulerError::HostNotApproved { client, host } => Self::Forbidden(format!(
                "the host {host} of delivery.url is not approved for this client; ask the person who runs this service to \
                 approve it, with: mcp-scheduler client approve {client} {host}"
            )),
            error => {
                tracing::warn!(%error, "the limits of a client could not be read");
                Self::Store
            }
        }
    }
}

/// Runs a method of the extension.
pub(super) async fn run(
    subscriptions: &Subscriptions,
    scheduler: &Scheduler,
    caller: &Principal,
    method: EventsMethod,
    params: &str,
) -> Result<Value, ErrorData> {
    let result = match method {
        EventsMethod::List => Ok(list()),
        EventsMethod::Subscribe => subscribe(subscriptions, scheduler, caller, params).await,
        EventsMethod::Unsubscribe => unsubscribe(subscriptions, caller, params).await,
    };
    let mut result = result.map_err(|refusal| refusal.into_rmcp(subscriptions.text()))?;
    // rmcp adds it only to the results that it knows.
    if let Some(members) = result.as_object_mut() {
        members.insert("resultType".to_owned(), "complete".into());
    }
    Ok(result)
}

fn list() -> Value {
    let input = json!({
        "type": "object",
        "properties": {
            "conversationId": {
                "type": "string",
                "format": "uuid",
                "description": "Only events of this conversation.",
            },
            "channel": {
                "type": "string",
                "minLength": 1,
                "maxLength": Labels::MAX_VALUE,
                "description": "Only events of conversations whose label channel has this value.",
            },
        },
        "additionalProperties": false,
    });
    let event = |name: EventName, description, payload| {
        json!({
            "name": name.as_str(),
            "description": description,
            "delivery": [WEBHOOK],
            "inputSchema": input,
            "payloadSchema": payload,
        })
    };
    let due = "The time of a conversation has come that was scheduled with deliver: events. The data has its text.";
    let failed = "The delivery of a conversation has failed for good, to whatever destination. The data says why.";
    json!({ "events": [
        event(EventName::Due, due, schema::<JsonBody<'_>>(or_null)),
        event(EventName::Failed, failed, schema::<News<'_>>(or_null)),
    ] })
}

async fn subscribe(
    subscriptions: &Subscriptions,
    scheduler: &Scheduler,
    caller: &Principal,
    params: &str,
) -> Result<Value, Refusal> {
    let params = read(params)?;
    let secret = subscriber_secret(params.delivery.secret.as_deref().unwrap_or_default());
    let secret = secret.map_err(|_| {
        Refusal::invalid("delivery.secret", "must be whsec_ followed by the standard base64 of 24 to 64 random bytes")
    })?;
    // A URL that is none is refused below.
    let endpoint = scheduler.endpoint_policy().check(&params.delivery.url).ok();
    if let Some(host) = endpoint.and_then(|endpoint| endpoint.endpoint_host()) {
        scheduler.check_host(caller.client(), &host).await?;
    }
    let (ttl, truncated) = (params.ttl_ms.map(Duration::from_millis), params.cursor.is_some());
    let Granted { id, refresh_before } =
        subscriptions.subscribe(caller.client(), key(params)?, secret, ttl).await.map_err(Refusal::from)?;
    Ok(json!({
        "id": id.to_string(),
        "refreshBefore": refresh_before.to_string(),
        "cursor": null,
        "truncated": truncated,
    }))
}

async fn unsubscribe(subscriptions: &Subscriptions, caller: &Principal, params: &str) -> Result<Value, Refusal> {
    let key = key(read(params)?)?;
    let has_ended = subscriptions.unsubscribe(caller.client(), &key).await.map_err(SubscribeError::from)?;
    if has_ended { Ok(json!({})) } else { Err(Refusal::NotFound("subscription")) }
}

fn read(params: &str) -> Result<Params<'_>, Refusal> {
    let StrictObject(params) = serde_json::from_str::<StrictObject<Params<'_>>>(params)
        .map_err(|_| Refusal::InvalidParams(FORM.to_owned()))?;
    match params.delivery.mode.as_deref() {
        None | Some(WEBHOOK) => Ok(params),
        Some(mode) => Err(Refusal::Unsupported(mode.chars().take(32).collect())),
    }
}

fn key(params: Params<'_>) -> Result<SubscriptionKey, Refusal> {
    let event = params.name.parse().map_err(|_| Refusal::NotFound("event"))?;
    let arguments = params.arguments.unwrap_or(Arguments { conversation_id: None, channel: None });
    let id = arguments.conversation_id.map(|id| id.parse()).transpose();
    let conversation =
        id.map_err(|_| Refusal::invalid("arguments.conversationId", "is not the id of a conversation"))?;
    let channel = arguments.channel.map(Cow::into_owned);
    if channel.as_ref().is_some_and(|channel| channel.is_empty() || channel.chars().count() > Labels::MAX_VALUE) {
        let problem = format!("must have 1 to {} characters", Labels::MAX_VALUE);
        return Err(Refusal::invalid("arguments.channel", problem));
    }
    let filter = EventFilter { conversation, channel };
    Ok(SubscriptionKey { event, filter, url: params.delivery.url.into_owned() })
}

/// Adds the capability to the response to `initialize` or `server/discover`. rmcp knows no member of this name.
pub(super) fn advertise(body: &[u8]) -> Option<Vec<u8>> {
    let mut response: Value = serde_json::from_slice(body).ok()?;
    response.pointer_mut("/result/capabilities")?.as_object_mut()?.insert("events".to_owned(), json!({}));
    serde_json::to_vec(&response).ok()
}
