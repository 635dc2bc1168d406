//! Runs the tools for the inbox.

use schemars::JsonSchema;

use super::executor::{ConversationRequest, ToolExecutor, ToolResult, parse_id};
use crate::api::{self, AcknowledgeRequest, FromObject, ObjectReader, Parsed, Problem, ReceiveResponse};
use crate::auth::Principal;

/// The conversation that was received, and what the receiver has done.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(super) struct AcknowledgeArguments {
    #[schemars(flatten)]
    conversation: ConversationRequest,
    #[schemars(flatten)]
    request: AcknowledgeRequest,
}

impl FromObject for AcknowledgeArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let conversation = object.part::<ConversationRequest>();
        Self { conversation, request: object.part::<AcknowledgeRequest>() }
    }
}

impl ToolExecutor {
    pub(super) async fn receive(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let received = api::receive(self.inbox(), principal, Parsed::from_json(arguments)?).await?;
        let response = ReceiveResponse::new(&received, self.inbox().now());
        ToolResult::new(ReceiveResponse::lines(&received), &response)
    }

    pub(super) async fn acknowledge(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let arguments = Parsed::<AcknowledgeArguments>::from_json(arguments)?;
        let (request, conversation) = arguments.split(|arguments| (arguments.request, arguments.conversation));
        let id = match conversation.validate() {
            Ok(id) => id,
            Err(missing) => {
                let mut errors = request.check(AcknowledgeRequest::validate).err().unwrap_or_default();
                errors.extend(missing);
                return Err(Problem::invalid(errors));
            }
        };
        let response = api::acknowledge(self.inbox(), principal, parse_id(&id)?, request).await?;
        ToolResult::new("true", &response)
    }
}
