//! Runs the tools for many conversations.

use schemars::JsonSchema;

use super::executor::{KEY_ARGUMENT, ToolExecutor, ToolResult};
use crate::api::{
    BatchRequest, BatchResponse, BatchResult, BulkCancelResponse, BulkRedeliverResponse, BulkRequest, Cancelling,
    FromObject, MAX_KEY, ObjectReader, Parsed, Problem, Redelivering, read_key, schedule_batch,
};
use crate::auth::Principal;
use crate::scheduler::BulkResult;

/// Conversations to schedule.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(super) struct BatchArguments {
    #[schemars(flatten)]
    request: BatchRequest,
    /// Makes it safe to repeat the call, for 24 hours: a conversation that was scheduled is not scheduled again, and one
    /// that failed is tried again. Keep the order of the conversations. Use a new value for each batch, such as a UUID.
    #[schemars(length(min = 1, max = MAX_KEY))]
    idempotency_key: Option<String>,
}

impl FromObject for BatchArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let request = object.part::<BatchRequest>();
        Self { request, idempotency_key: object.string(KEY_ARGUMENT) }
    }
}

impl ToolExecutor {
    pub(super) async fn schedule_batch(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let arguments = Parsed::<BatchArguments>::from_json(arguments)?;
        let (request, key) = arguments.split(|arguments| (arguments.request, arguments.idempotency_key));
        let key = key.map(|key| read_key(KEY_ARGUMENT, key.as_bytes()));
        let results = schedule_batch(self.scheduler(), principal, request, key).await?;
        let results: Vec<_> = results.into_iter().map(|result| result.map_err(Problem::escaped)).collect();
        let response = BatchResponse::new(results, self.scheduler().now());
        let mut lines: Vec<_> =
            response.results.iter().enumerate().map(|(index, result)| line(index, result)).collect();
        let failed = response.results.iter().filter(|result| matches!(result, BatchResult::Failed { .. })).count();
        if failed > 0 {
            lines.push(format!(
                "{failed} of {} conversations were not scheduled. Correct them and call scheduleBatch again: with the same \
                 idempotencyKey and the whole batch in the same order, or, without a key, with only these.",
                response.results.len()
            ));
        }
        ToolResult::new(lines.join("\n"), &response)
    }

    pub(super) async fn cancel_many(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let query = Parsed::<BulkRequest<Cancelling>>::from_json(arguments)?.validate(BulkRequest::validate)?;
        let result = self.scheduler().cancel_listed(principal.client(), query).await?;
        let text = bulk_text(&result, "cancelled", "cancelConversations");
        ToolResult::new(text, &BulkCancelResponse::from(result))
    }

    pub(super) async fn redeliver_many(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let query = Parsed::<BulkRequest<Redelivering>>::from_json(arguments)?.validate(BulkRequest::validate)?;
        let result = self.scheduler().redeliver_listed(principal.client(), query).await?;
        let text = bulk_text(&result, "redelivered", "redeliverConversations");
        ToolResult::new(text, &BulkRedeliverResponse::from(result))
    }
}

/// The line of a conversation in a batch, with its index.
fn line(index: usize, result: &BatchResult) -> String {
    match result {
        BatchResult::Scheduled(response) => format!("{index}: {}", response.line()),
        BatchResult::Failed { problem } => format!("{index}: not scheduled. {}", problem.to_text().replace('\n', " ")),
    }
}

fn bulk_text(result: &BulkResult, done: &str, tool: &str) -> String {
    let mut text = format!("{done} {}, skipped {}.", result.changed, result.skipped);
    if result.next.is_some() {
        text =
            format!("{text}\nThere may be more conversations. Call {tool} again with the same filter and the cursor.");
    }
    text
}
