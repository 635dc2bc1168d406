//! Runs the tools for conversations with a name.

use schemars::JsonSchema;

use super::executor::{ToolExecutor, ToolResult};
use crate::api::{self, ErrorDetail, FromObject, ObjectReader, Parsed, Problem, ScheduleRequest, Synonyms};
use crate::auth::Principal;
use crate::domain::ConversationName;

/// The name of a conversation, and what it is to be.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(super) struct ScheduleNamedArguments {
    #[schemars(flatten)]
    request: ScheduleRequest,
    /// The name: 1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', such as daily-report.
    #[schemars(required, length(min = 1, max = ConversationName::MAX))]
    name: Option<String>,
}

impl FromObject for ScheduleNamedArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let request = object.part::<ScheduleRequest>();
        Self { request, name: object.string(NAME_ARGUMENT) }
    }
}

/// The conversation that the tool is for.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NameRequest {
    /// The name that the conversation was scheduled under.
    #[schemars(required, length(min = 1, max = ConversationName::MAX))]
    name: Option<String>,
}

impl FromObject for NameRequest {
    const SYNONYMS: Synonyms = &[("name", &["id", "conversationid", "conversation", "title", "key"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { name: object.string(NAME_ARGUMENT) }
    }
}

pub(super) const NAME_ARGUMENT: &str = "name";

impl ToolExecutor {
    pub(super) async fn schedule_named(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let arguments = Parsed::<ScheduleNamedArguments>::from_json(arguments)?;
        let (request, name) = arguments.split(|arguments| (arguments.request, arguments.name));
        let Some(name) = name else {
            let validate =
                |request: ScheduleRequest| request.validate(self.scheduler().now(), self.scheduler().endpoint_policy());
            let mut errors = request.check(validate).err().unwrap_or_default();
            errors.extend(no_name());
            return Err(Problem::invalid(errors));
        };
        let response = api::schedule_named(self.scheduler(), principal, &name, request).await?;
        let text = format!("{} {}", response.outcome, response.scheduled.line());
        ToolResult::new(text, &response)
    }

    pub(super) async fn get_named(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let id = api::named_id(self.scheduler(), principal.client(), &name(arguments)?).await?;
        self.show(principal, id).await
    }

    pub(super) async fn cancel_named(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let id = api::named_id(self.scheduler(), principal.client(), &name(arguments)?).await?;
        self.cancel_one(principal, id).await
    }
}

fn name(arguments: &[u8]) -> Result<String, Problem> {
    Parsed::<NameRequest>::from_json(arguments)?.validate(|request| request.name.ok_or_else(|| no_name().into()))
}

fn no_name() -> [ErrorDetail; 1] {
    let detail = "is required: the name of the conversation, such as daily-report".to_owned();
    [ErrorDetail { pointer: format!("/{NAME_ARGUMENT}"), detail }]
}
