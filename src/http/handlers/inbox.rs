//! The operations on the inbox of a client: the part that is particular to REST.

use warp::reply::Response;

use crate::api::{self, AcknowledgeRequest, Problem, ReceiveRequest, ReceiveResponse};
use crate::auth::Principal;
use crate::http::{RequestContext, json};

/// `receiveConversations`
pub(in crate::http) async fn receive_conversations(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let request = context.json::<ReceiveRequest>().await?;
    let inbox = &context.services().inbox;
    let received = api::receive(inbox, &caller, request).await?;
    json(&ReceiveResponse::new(&received, inbox.now()))
}

/// `acknowledgeConversation`
pub(in crate::http) async fn acknowledge_conversation(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let id = context.conversation_id()?;
    let request = context.json::<AcknowledgeRequest>().await?;
    json(&api::acknowledge(&context.services().inbox, &caller, id, request).await?)
}
