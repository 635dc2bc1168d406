//! The view of an operator over the conversations of other clients. Only REST has it: a tool of a language model sees the
//! conversations of its own client alone.

use schemars::JsonSchema;
use serde::Serialize;

use super::responses::ConversationSummary;
use super::{ErrorDetail, FromObject, ListRequest, ObjectReader, RawContent};
use crate::domain::{ClientId, Timestamp};
use crate::scheduler::{ListOwner, ListPage, ListQuery};

/// The parameters of a list, and whose conversations it has.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(crate) struct ListViewRequest {
    #[schemars(flatten)]
    list: ListRequest,
    /// For operators: return the conversations of this client, or with * those of all clients. The token also needs the
    /// scope operator. With *, the clients come in the order of their ids and the conversations of each newest first, also
    /// with a status.
    #[schemars(length(min = 1, max = ClientId::MAX), extend("pattern" = r"^(\*|[A-Za-z0-9._-]+)$"))]
    client: Option<String>,
}

impl FromObject for ListViewRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { list: object.part::<ListRequest>(), client: object.string("client") }
    }
}

impl ListViewRequest {
    /// Whether the list needs the scope `operator`.
    pub(crate) const fn is_for_operator(&self) -> bool {
        self.client.is_some()
    }

    /// The list, and whose conversations it has if it is for an operator.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each parameter that is not accepted.
    pub(crate) fn validate(self) -> Result<(Option<ListOwner>, ListQuery), Vec<ErrorDetail>> {
        let has_order = self.list.order.as_ref().is_some_and(|order| !order.is_empty());
        let of = self.client.map(|client| match client.as_str() {
            ALL if has_order => Err(ErrorDetail {
                pointer: "/order".to_owned(),
                detail:
                    "must be left out with client=*: the clients come in the order of their ids, and the conversations \
                         of each newest first"
                        .to_owned(),
            }),
            ALL => Ok(ListOwner::All),
            id => checked(id, "must be the id of a client, or * for all clients").map(ListOwner::Client),
        });
        match (of.transpose(), self.list.validate()) {
            (Ok(of), Ok(query)) => Ok((of, query)),
            (Ok(_), Err(errors)) => Err(errors),
            (Err(error), Ok(_)) => Err(vec![error]),
            (Err(error), Err(errors)) => Err(std::iter::once(error).chain(errors).collect()),
        }
    }
}

/// Stands for all clients. No client has this id.
const ALL: &str = "*";

/// Whose conversation is read.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct StatusRequest {
    /// For operators: the client that the conversation belongs to, if it is another one. The token also needs the scope
    /// operator.
    #[schemars(length(min = 1, max = ClientId::MAX), extend("pattern" = ClientId::PATTERN))]
    client: Option<String>,
}

impl FromObject for StatusRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { client: object.string("client") }
    }
}

impl StatusRequest {
    /// Whether the request needs the scope `operator`.
    pub(crate) const fn is_for_operator(&self) -> bool {
        self.client.is_some()
    }

    /// The client that the conversation belongs to, if it is not the caller.
    ///
    /// # Errors
    /// An [`ErrorDetail`] if no client can have the id.
    pub(crate) fn validate(self) -> Result<Option<ClientId>, Vec<ErrorDetail>> {
        let of = self.client.map(|id| checked(&id, "must be the id of a client")).transpose();
        of.map_err(|error| vec![error])
    }
}

fn checked(id: &str, rule: &str) -> Result<ClientId, ErrorDetail> {
    id.parse().map_err(|_| ErrorDetail { pointer: "/client".to_owned(), detail: rule.to_owned() })
}

/// A page of conversations.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ListResponse")]
pub(crate) struct ListViewResponse<'a> {
    conversations: Vec<OwnedSummary<'a>>,
    next_cursor: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
}

/// A conversation in a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConversationSummary")]
struct OwnedSummary<'a> {
    /// The client that the conversation belongs to, in a list of an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(flatten)]
    summary: ConversationSummary<'a, RawContent>,
}

impl<'a> ListViewResponse<'a> {
    /// The page, for an operator with the clients of the conversations.
    pub(crate) fn new(page: &'a ListPage, is_for_operator: bool, now: Timestamp) -> Self {
        let conversations = page.conversations.iter().map(|conversation| OwnedSummary {
            client_id: is_for_operator.then(|| conversation.client().as_str()),
            summary: ConversationSummary::new(conversation),
        });
        Self { conversations: conversations.collect(), next_cursor: page.next.clone(), server_time: now.to_string() }
    }
}
