//! Wrong paths, methods, content types and tokens.

use http::Method;
use mcp_scheduler::http::{Access, operations};
use serde_json::json;

use super::{GOOD, start};
use crate::support::client::Answer;

const LIST: &str = "The operations are GET /health (health), GET /health/ready (ready), \
                    GET /openapi.json (openapi), GET /docs (docs), GET / (dashboard), GET /dashboard/app.js (dashboardScript), \
                    GET /dashboard/app.css (dashboardStyle), POST /api/auth/token (issueToken), GET /.well-known/oauth-authorization-server (oauthMetadata), \
                    GET /.well-known/oauth-protected-resource (protectedResource), \
                    GET /.well-known/oauth-protected-resource/mcp (protectedMcpResource), \
                    POST /oauth/token (issueOauthToken), POST /oauth/revoke (revokeOauthToken), \
                    POST /oauth/register (registerOauthClient), GET /oauth/authorize (authorize), \
                    POST /oauth/authorize (submitAuthorization), GET /oauth/signed-in (completeSignIn), \
                    POST /api/scheduler/schedule (scheduleConversation), \
                    GET /api/scheduler/status/{id} (getConversationStatus), \
                    GET /api/scheduler/wait/{id} (waitForConversation), \
                    PATCH /api/scheduler/{id} (updateConversation), DELETE /api/scheduler/{id} (cancelConversation), \
                    POST /api/scheduler/{id}/redeliver (redeliverConversation), \
                    POST /api/scheduler/{id}/run (runConversation), \
                    GET /api/scheduler (listConversations), POST /api/scheduler/preview (previewTime), GET /api/scheduler/time (getCurrentTime), \
                    PUT /api/scheduler/named/{name} (scheduleNamedConversation), \
                    GET /api/scheduler/named/{name} (getNamedConversation), \
                    DELETE /api/scheduler/named/{name} (cancelNamedConversation), \
                    POST /api/scheduler/batch (scheduleBatch), \
                    POST /api/scheduler/cancel (cancelConversations), \
                    POST /api/scheduler/redeliver (redeliverConversations), \
                    POST /api/inbox/receive (receiveConversations), \
                    POST /api/inbox/{id}/ack (acknowledgeConversation), GET /api/webhooks/keys (getSigningKeys), \
                    GET /.well-known/webhook-keys.json (webhookKeys), GET /api/clients (listClients), \
                    POST /api/clients (addClient), GET /api/clients/{clientId} (getClient), \
                    POST /api/clients/{clientId}/rotate (rotateClientKey), \
                    POST /api/clients/{clientId}/retire (retireClientKey), \
                    POST /api/clients/{clientId}/disable (disableClient), \
                    POST /api/clients/{clientId}/enable (enableClient), \
                    POST /api/clients/{clientId}/signatures (setClientSignatures), \
                    POST /api/clients/{clientId}/limits (setClientLimits), \
                    POST /api/clients/{clientId}/hosts (approveClientHost), \
                    GET /api/export (exportConversations), \
                    POST /api/import (importConversations), POST /mcp (mcp).";

#[tokio::test]
async fn a_wrong_path_or_method_is_told_the_right_one_and_all_operations() {
    let api = start().await;
    let unknown = "No operation of this service has this path.";
    let use_path = |path: &str| {
        format!("{unknown} Use {path}: paths are in lower case, without empty segments and without a slash at the end.")
    };
    let id = "01890000-0000-7000-8000-00000000000f";
    for (method, path, status, detail) in [
        (Method::GET, "/api/nope".to_owned(), 404, unknown.to_owned()),
        (Method::GET, "/dashboard".to_owned(), 404, unknown.to_owned()),
        (Method::POST, "/schedule".to_owned(), 404, unknown.to_owned()),
        (Method::POST, "/api/scheduler/schedule/".to_owned(), 404, use_path("/api/scheduler/schedule")),
        (Method::POST, "/API/Scheduler/Schedule".to_owned(), 404, use_path("/api/scheduler/schedule")),
        (Method::POST, "//api//scheduler/schedule".to_owned(), 404, use_path("/api/scheduler/schedule")),
        (Method::GET, "/api/scheduler/".to_owned(), 404, use_path("/api/scheduler")),
        (Method::GET, format!("/api/scheduler/status/{id}/"), 404, use_path("/api/scheduler/status/{id}")),
        (Method::GET, "/health/".to_owned(), 404, use_path("/health")),
        (Method::POST, "/mcp/".to_owned(), 404, use_path("/mcp")),
        (
            Method::GET,
            format!("/api/scheduler/{id}"),
            405,
            "This path does not support GET; it supports PATCH, DELETE.".to_owned(),
        ),
        (
            Method::GET,
            "/api/scheduler/schedule".to_owned(),
            405,
            "This path does not support GET; it supports POST.".to_owned(),
        ),
        (
            Method::POST,
            format!("/api/scheduler/status/{id}"),
            405,
            "This path does not support POST; it supports GET, HEAD.".to_owned(),
        ),
    ] {
        let answer = Answer::to(api.client().anonymous(method, &path)).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (status, &json!(detail)), "{path}");
        assert_eq!(answer.json()["hint"], LIST, "{path}");
    }
    let public = operations().into_iter().filter(|o| !matches!(o.access, Access::FunctionsHost(_)));
    assert!(public.clone().all(|o| LIST.contains(&format!("{} {} ({})", o.method, o.path, o.name))));
    assert_eq!(public.count(), LIST.matches(" (").count(), "each once, and no invocation");
}

#[tokio::test]
async fn a_wrong_content_type_is_told_what_is_wrong_with_it() {
    let api = start().await;
    let client = api.client();
    let one = "The Content-Type of the body must be application/json, in UTF-8.";
    let cases: [(&[&str], &str); 4] = [
        (&[], "The request has no Content-Type header; the body must be application/json in UTF-8."),
        (&["text/plain"], one),
        (&["application/json; charset=latin1"], one),
        (
            &["application/json", "application/json"],
            "The request has several Content-Type headers; it must have one, application/json.",
        ),
    ];
    for (types, detail) in cases {
        let request = client.request(Method::POST, "/api/scheduler/schedule").await.body(format!("{{{GOOD}}}"));
        let request = types.iter().fold(request, |request, value| request.header("content-type", *value));
        let answer = Answer::to(request).await;
        answer.assert_problem(415, "unsupported-media-type");
        assert_eq!(answer.json()["detail"], detail, "{types:?}");
    }
}

#[tokio::test]
async fn an_id_is_accepted_in_any_case_and_without_hyphens() {
    let api = start().await;
    let client = api.client();
    let id = client.scheduled(json!({ "scheduledTime": "2030-01-01T10:00:00Z" })).await;
    for same in [id.to_uppercase(), id.replace('-', ""), id.replace('-', "").to_uppercase()] {
        let shown = client.status(&same).await;
        assert_eq!((shown.status, &shown.json()["conversationId"]), (200, &json!(id)), "{same}");
        let called = client.call_tool("getConversationStatus", json!({ "conversationId": same })).await;
        assert_eq!(called.structured["conversationId"], json!(id), "{called:?}");
    }
    let cancelled = client.cancel(&id.to_uppercase()).await;
    assert_eq!(cancelled.json(), json!({ "conversationId": id, "cancelled": true }));
    let failed = client.redeliver(&id.replace('-', "")).await;
    failed.assert_problem(409, "not-failed");
    for other in [format!("{{{id}}}"), format!("urn:uuid:{id}"), id[1..].to_owned(), format!("{id}0")] {
        client.status(&other).await.assert_problem(404, "no-such-conversation");
    }
}
