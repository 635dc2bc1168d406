//! The operations of an operator on the whole store. The log has who called them.

use warp::reply::Response;

use crate::api::{ExportRequest, ExportResponse, ImportRequest, ImportResponse, Parsed, Problem};
use crate::auth::Principal;
use crate::http::{RequestContext, json};

/// `exportConversations`
pub(in crate::http) async fn export_conversations(
    context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let query = Parsed::<ExportRequest>::from_query(context.query());
    let (cursor, reveal) = query.validate(|request| Ok(request.into_parts()))?;
    let page = context.services().backup.export(cursor.as_deref(), reveal).await?;
    if cursor.is_none() {
        tracing::info!(operator = %operator.client(), reveal, "export begun");
    }
    let response = ExportResponse::try_from(page).map_err(|error| Problem::internal(&error))?;
    json(&response)
}

/// `importConversations`
pub(in crate::http) async fn import_conversations(
    mut context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let lines = context.json::<ImportRequest>().await?.validate(ImportRequest::validate)?;
    let response = ImportResponse::from(context.services().backup.import(&lines).await?);
    let ImportResponse { clients, conversations, skipped, .. } = response;
    tracing::info!(operator = %operator.client(), clients, conversations, skipped, "lines of an export imported");
    json(&response)
}
