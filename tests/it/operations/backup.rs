//! `exportConversations` and `importConversations`.

use serde_json::{Value, json};
use tracing::Level;

use crate::support::app::{BareApi, CLIENT, OTHER, StoreDown, TestApp};
use crate::support::captured_log::CapturedLog;
use crate::support::client::ApiClient;

const EXPORT: &str = "/api/export";
const IMPORT: &str = "/api/import";

async fn operator(app: &TestApp) -> ApiClient {
    app.client().with_scopes("operator").await
}

#[tokio::test]
async fn an_export_has_the_conversations_of_all_clients_and_an_import_adds_none_twice() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let ids = [
        app.client().scheduled(json!({ "headers": { "X-Key": "canary" } })).await,
        app.other_client().scheduled(json!({})).await,
    ];
    let page = operator.get(EXPORT).await;
    let exported = page.json();
    assert_eq!((&exported["unreadable"], &exported["nextCursor"]), (&json!([]), &Value::Null));
    let lines = exported["lines"].as_array().unwrap();
    let rows: Vec<_> = lines.iter().map(|line| &line["conversation"]["main"]["row"]).collect();
    for id in &ids {
        assert!(rows.iter().any(|row| row["id"] == **id), "{}", page.text);
    }
    assert!(lines.iter().any(|line| line["client"]["row"]["id"] == OTHER));
    assert!(!page.text.contains("canary"));
    let revealed = operator.get(&format!("{EXPORT}?reveal=true")).await;
    assert!(revealed.text.contains("canary"));
    let imported = operator.post_json(IMPORT, &json!({ "lines": lines })).await;
    let nothing = json!({ "clients": 0, "conversations": 0, "idempotencyKeys": 0, "skipped": lines.len() });
    assert_eq!(imported.json(), nothing);

    let to = TestApp::start().await;
    let clients = lines.iter().filter(|line| line.get("client").is_some()).count();
    let imported = self::operator(&to).await.post_json(IMPORT, &json!({ "lines": revealed.json()["lines"] })).await;
    // The clients of the harness are in both.
    let added = json!({ "clients": 0, "conversations": 2, "idempotencyKeys": 0, "skipped": clients });
    assert_eq!(imported.json(), added);
    assert_eq!(to.client().status(&ids[0]).await.status, 200);
    assert_eq!(to.client().status(&ids[1]).await.status, 404);
}

#[tokio::test]
async fn wrong_requests_name_the_field_or_the_line_that_is_wrong() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    for (query, pointers) in
        [("?cursor=abc", &["/cursor"][..]), ("?reveal=1", &["/reveal"]), ("?reveal=true&limit=1", &["/limit"])]
    {
        operator.get(&format!("{EXPORT}{query}")).await.assert_invalid(pointers);
    }
    let line = || json!({ "client": { "v": 1, "row": { "id": "dave", "keyHashes": [] } } });
    for (body, pointers) in [
        (json!({}), &["/lines"][..]),
        (json!({ "lines": [] }), &["/lines"]),
        (json!({ "lines": vec![line(); 101] }), &["/lines"]),
        (json!({ "lines": [line(), { "client": {} }, 1] }), &["/lines/1"]),
        (json!({ "lines": [line()], "cursor": "a" }), &["/cursor"]),
    ] {
        operator.post_json(IMPORT, &body).await.assert_invalid(pointers);
    }
    assert_eq!(operator.get("/api/clients/dave").await.status, 404, "nothing of a refused call is imported");
    assert_eq!(operator.post_json(IMPORT, &json!({ "lines": [line()] })).await.json()["clients"], 1);
}

#[tokio::test]
async fn the_log_says_who_exported_and_imported() {
    let (log, _guard) = CapturedLog::start(Level::TRACE);
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    app.client().scheduled(json!({ "headers": { "X-Key": "canary" } })).await;
    operator.get(&format!("{EXPORT}?reveal=true")).await;
    let line = json!({ "client": { "v": 1, "row": { "id": "dave", "keyHashes": [] } } });
    operator.post_json(IMPORT, &json!({ "lines": [line] })).await;
    let text = log.text();
    for (line, part) in [("export begun", "reveal=true"), ("lines of an export imported", "clients=1")] {
        let line = text.lines().find(|logged| logged.contains(line)).unwrap_or_else(|| panic!("no {line:?} in {text}"));
        assert!(line.contains(part) && line.contains(&format!("operator={CLIENT}")), "{line}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn without_the_store_nothing_is_confirmed() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let operator = api.client().with_scopes("operator").await;
    operator.get(EXPORT).await.assert_problem(503, "unavailable");
    let line = json!({ "client": { "v": 1, "row": { "id": "dave", "keyHashes": [] } } });
    operator.post_json(IMPORT, &json!({ "lines": [line] })).await.assert_problem(503, "unavailable");
}
