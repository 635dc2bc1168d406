//! The conversations as resources, which a person can attach to a chat.

use rmcp::model::{
    CacheScope, ErrorData, ListResourceTemplatesResult, ReadResourceResult, ResourceContents, ResourceTemplate,
};
use serde_json::json;

use super::executor::ToolExecutor;
use crate::api::{ConversationResponse, Problem, ShownEndpoints, UntrustedContent, log_conversation};
use crate::auth::Principal;
use crate::scheduler::SchedulerError;
use crate::text::escape_invisible;

/// The scheme of the URI of a conversation.
const SCHEME: &str = "conversation://";
const MIME_TYPE: &str = "application/json";

/// The only template. There are too many conversations for a list of resources, and a list of tools has filters.
pub(super) fn templates() -> ListResourceTemplatesResult {
    let conversation = ResourceTemplate::new(format!("{SCHEME}{{conversationId}}"), "conversation")
        .with_title("A scheduled conversation")
        .with_description("The whole record of a conversation, as getConversationStatus returns it.")
        .with_mime_type(MIME_TYPE);
    ListResourceTemplatesResult::with_all_items(vec![conversation])
}

impl ToolExecutor {
    /// The record of the conversation that has this URI. It can change at any time, so nobody caches it.
    pub(super) async fn read_resource(
        &self,
        principal: &Principal,
        uri: &str,
    ) -> Result<ReadResourceResult, ErrorData> {
        let unknown = || {
            let (uri, _) = escape_invisible(uri, 128);
            let text = format!("{uri:?} is no conversation of this client; write {SCHEME} and a conversationId");
            ErrorData::resource_not_found(text, Some(json!({ "uri": uri })))
        };
        let id = uri.strip_prefix(SCHEME).and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
        log_conversation(id);
        let now = self.scheduler().now();
        let found = self.scheduler().get(principal.client(), id).await.map_err(|error| match error {
            SchedulerError::NotFound => unknown(),
            error => ErrorData::internal_error(Problem::from(error).to_text(), None),
        })?;
        let response = ConversationResponse::<UntrustedContent>::new(&found.whole, ShownEndpoints::to(principal), now);
        let text = serde_json::to_string(&response)
            .map_err(|error| ErrorData::internal_error(Problem::internal(&error).to_text(), None))?;
        let contents = ResourceContents::text(text, uri).with_mime_type(MIME_TYPE);
        Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(0).with_cache_scope(CacheScope::Private))
    }
}
