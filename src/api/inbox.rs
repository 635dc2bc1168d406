//! The requests and responses of `receiveConversations` and `acknowledgeConversation`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ErrorDetail, FromObject, ObjectReader, Parsed, Problem, RawContent, Synonyms, UserContent};
use crate::auth::Principal;
use crate::delivery::{Inbox, InboxDelivery, InboxError, JsonBody, ReceiveQuery, webhook_id};
use crate::domain::{Conversation, ConversationId, ConversationName, Receipt, Received, Scope, Timestamp};
use crate::json::text;

/// What a receiver wants.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReceiveRequest {
    /// The most conversations to receive. The default is 1.
    #[schemars(range(min = 1, max = MAX_RECEIVED))]
    max: Option<u32>,
    /// The time in which you acknowledge what you receive, in seconds. Until then nobody else receives it, and after it the
    /// conversation is received again. The default is 60.
    #[schemars(range(min = MIN_LEASE_SECONDS, max = MAX_LEASE_SECONDS))]
    lease_seconds: Option<u32>,
    /// How long to wait if nothing is due, in seconds. The default is 0. A service on Azure Functions does not wait.
    #[schemars(range(min = 0, max = MAX_WAIT_SECONDS))]
    wait_seconds: Option<u32>,
}

const MAX_RECEIVED: u32 = 10;
const DEFAULT_LEASE_SECONDS: u32 = 60;
const MIN_LEASE_SECONDS: u32 = 10;
#[allow(clippy::cast_possible_truncation)] // an hour
const MAX_LEASE_SECONDS: u32 = Conversation::MAX_INBOX_LEASE.as_secs() as u32;
pub(super) const MAX_WAIT_SECONDS: u32 = 20;

impl FromObject for ReceiveRequest {
    const SYNONYMS: Synonyms = &[
        ("max", &["limit", "count", "maxmessages", "maxnumberofmessages", "batchsize", "n"]),
        ("leaseSeconds", &["lease", "visibilitytimeout", "timeout", "leaseduration", "leasetime"]),
        ("waitSeconds", &["wait", "waittime", "waittimeseconds", "longpoll", "poll"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            max: object.whole_number("max", 1..=MAX_RECEIVED),
            lease_seconds: object.whole_number("leaseSeconds", MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS),
            wait_seconds: object.whole_number("waitSeconds", 0..=MAX_WAIT_SECONDS),
        }
    }
}

impl ReceiveRequest {
    /// The query. The numbers were checked where they were read.
    #[allow(clippy::unnecessary_wraps)] // the signature that `Parsed` asks for
    pub(crate) fn validate(self) -> Result<ReceiveQuery, Vec<ErrorDetail>> {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        Ok(ReceiveQuery {
            max: usize::try_from(self.max.unwrap_or(1)).unwrap_or(1),
            lease: seconds(self.lease_seconds.unwrap_or(DEFAULT_LEASE_SECONDS)),
            wait: seconds(self.wait_seconds.unwrap_or_default()),
        })
    }
}

/// Receives conversations: the part of the operation that REST and MCP share. What is received is also read, so it needs
/// both scopes.
///
/// # Errors
/// [`Problem`] with the errors in the request, of the missing scope, or of the use case.
pub(crate) async fn receive(
    inbox: &Inbox,
    caller: &Principal,
    request: Parsed<ReceiveRequest>,
) -> Result<Vec<InboxDelivery>, Problem> {
    caller.require(Scope::Read)?;
    let query = request.validate(ReceiveRequest::validate)?;
    inbox.receive(caller.client(), query).await.map_err(|error| InboxError::from(error).into())
}

/// What was received. It is empty if nothing is due.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiveResponse<'a> {
    conversations: Vec<ReceivedConversation<'a>>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
}

/// A conversation that is due.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReceivedConversation<'a> {
    #[serde(flatten)]
    body: JsonBody<'a>,
    /// The same for each attempt, and another one for each occurrence. If you have done what has this id before, only
    /// acknowledge it.
    delivery_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Map<String, Value>>,
    attempt: u32,
    /// acknowledgeConversation needs it. It is for this attempt only.
    receipt: String,
    /// Acknowledge it before this time.
    #[schemars(extend("format" = "date-time"))]
    lease_until: String,
}

impl<'a> ReceiveResponse<'a> {
    pub(crate) fn new(received: &'a [InboxDelivery], now: Timestamp) -> Self {
        let conversations = received.iter().map(ReceivedConversation::new).collect();
        Self { conversations, server_time: now.to_string() }
    }

    /// One line for each conversation: its id, its receipt and its text.
    pub(crate) fn lines(received: &[InboxDelivery]) -> String {
        if received.is_empty() {
            return "Nothing is due.".to_owned();
        }
        let line = |InboxDelivery { whole, receipt, .. }: &InboxDelivery| {
            format!("{} {receipt} {}", whole.conversation.id(), whole.payload.text)
        };
        received.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl<'a> ReceivedConversation<'a> {
    fn new(InboxDelivery { whole, receipt, lease_until }: &'a InboxDelivery) -> Self {
        let conversation = &whole.conversation;
        let labels = conversation.labels();
        Self {
            body: JsonBody::of(conversation, &whole.payload),
            delivery_id: webhook_id(conversation),
            name: conversation.name().map(ConversationName::as_str),
            labels: (!labels.is_empty()).then(|| RawContent::labels(labels)),
            attempt: conversation.attempts_begun(),
            receipt: receipt.to_string(),
            lease_until: lease_until.to_string(),
        }
    }
}

/// What the receiver has done.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AcknowledgeRequest {
    /// The receipt that receiveConversations returned with the conversation.
    #[schemars(required, length(min = 1, max = MAX_RECEIPT))]
    receipt: Option<String>,
    /// done (the default) completes the conversation. failed ends this attempt: another one follows after a pause, if one is
    /// left.
    #[schemars(extend("enum" = [DONE, FAILED]))]
    outcome: Option<String>,
}

const MAX_RECEIPT: usize = 64;
const DONE: &str = "done";
const FAILED: &str = "failed";

impl FromObject for AcknowledgeRequest {
    const SYNONYMS: Synonyms = &[
        ("receipt", &["receipthandle", "handle", "token", "ackid", "leaseid"]),
        ("outcome", &["result", "status", "success"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { receipt: object.string("receipt"), outcome: object.string("outcome") }
    }
}

impl AcknowledgeRequest {
    /// The receipt and the outcome.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub(crate) fn validate(self) -> Result<(Receipt, Received), Vec<ErrorDetail>> {
        let error =
            |pointer: &str, detail: &str| ErrorDetail { pointer: pointer.to_owned(), detail: detail.to_owned() };
        let receipt = match self.receipt.as_deref().map(str::parse::<Receipt>) {
            Some(Ok(receipt)) => Ok(receipt),
            Some(Err(invalid)) => Err(error("/receipt", &invalid.to_string())),
            None => Err(error("/receipt", "is required: the receipt that receiveConversations returned")),
        };
        let outcome = match self.outcome.as_deref() {
            None | Some(DONE) => Ok(Received::Done),
            Some(FAILED) => Ok(Received::Failed),
            Some(_) => Err(error("/outcome", "must be done or failed")),
        };
        match (receipt, outcome) {
            (Ok(receipt), Ok(outcome)) => Ok((receipt, outcome)),
            (receipt, outcome) => Err(receipt.err().into_iter().chain(outcome.err()).collect()),
        }
    }
}

/// The conversation that was acknowledged.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcknowledgeResponse {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    acknowledged: bool,
}

/// Acknowledges a conversation: the part of the operation that REST and MCP share.
///
/// # Errors
/// [`Problem`] with the errors in the request, or of the use case.
pub(crate) async fn acknowledge(
    inbox: &Inbox,
    caller: &Principal,
    id: ConversationId,
    request: Parsed<AcknowledgeRequest>,
) -> Result<AcknowledgeResponse, Problem> {
    let (receipt, received) = request.validate(AcknowledgeRequest::validate)?;
    inbox.acknowledge(caller.client(), id, receipt, received).await?;
    Ok(AcknowledgeResponse { conversation_id: id, acknowledged: true })
}
