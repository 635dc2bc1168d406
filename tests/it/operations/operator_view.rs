//! The view of an operator over the conversations of all clients: `client` in `listConversations` and
//! `getConversationStatus`.

use serde_json::{Value, json};

use crate::support::app::{CLIENT, OTHER, READER, TestApp};
use crate::support::client::ApiClient;
use crate::support::mcp_wire::newest;

const SCOPES: &str = "conversations:read operator";

/// The client and the id of each conversation on all pages of a list.
async fn pages(client: &ApiClient, query: &str) -> Vec<Vec<(String, String)>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.list(&format!("?{query}{cursor}")).await.json();
        let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
        let of_page = page["conversations"].as_array().unwrap().iter();
        pages.push(of_page.map(|listed| (text(listed, "clientId"), text(listed, "conversationId"))).collect());
        assert!(pages.len() < 1000, "the cursor leads in circles");
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

/// The conversations of both clients: in the order of the clients, and the newest first of each.
async fn schedule(app: &TestApp, of_each: usize) -> Vec<(String, String)> {
    let (alice, bob) = (app.client(), app.other_client());
    let mut scheduled = Vec::new();
    for _ in 0..of_each {
        scheduled.push((CLIENT.to_owned(), alice.scheduled(json!({})).await));
        scheduled.push((OTHER.to_owned(), bob.scheduled(json!({ "labels": { "team": "ops" } })).await));
    }
    scheduled.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    scheduled
}

#[tokio::test]
async fn an_operator_sees_the_conversations_of_all_clients_each_on_exactly_one_page() {
    let app = TestApp::start().await;
    let all = schedule(&app, 20).await;
    let operator = app.client().with_scopes(SCOPES).await;
    for limit in [1, 7, 100] {
        let pages = pages(&operator, &format!("client=*&limit={limit}")).await;
        assert_eq!(pages.concat(), all, "{limit} on a page");
        assert!(pages.iter().all(|page| page.len() <= limit));
    }
    let of = |name: &str| all.iter().filter(|(client, _)| client == name).cloned().collect::<Vec<_>>();
    for name in [CLIENT, OTHER, READER] {
        assert_eq!(pages(&operator, &format!("client={name}&limit=3")).await.concat(), of(name));
    }
}

#[tokio::test]
async fn the_filters_of_a_list_work_for_an_operator_too() {
    let app = TestApp::start().await;
    let all = schedule(&app, 3).await;
    let operator = app.client().with_scopes(SCOPES).await;
    app.client().cancel(&all[0].1).await;
    app.other_client().cancel(&all[5].1).await;
    for limit in [1, 100] {
        let listed = async |query: &str| pages(&operator, &format!("{query}&limit={limit}")).await.concat();
        assert_eq!(listed("client=*&status=Cancelled").await, [all[0].clone(), all[5].clone()]);
        assert_eq!(listed("client=*&status=Scheduled").await, all[1..5]);
        assert_eq!(listed("client=*&label=team:ops").await, all[3..]);
        assert_eq!(listed(&format!("client={OTHER}&status=Cancelled")).await, all[5..]);
    }
    for order in ["created", "due"] {
        let refused = operator.list(&format!("?client=*&order={order}")).await;
        refused.assert_invalid(&["/order"]);
    }
    operator.list("?client=a%20b&limit=0").await.assert_invalid(&["/limit", "/client"]);
}

#[tokio::test]
async fn an_operator_sees_a_conversation_of_another_client_and_cannot_change_it() {
    let app = TestApp::start().await;
    let id = app.other_client().scheduled(json!({})).await;
    let operator = app.client().with_scopes(&format!("{SCOPES} conversations:write")).await;
    operator.status(&id).await.assert_problem(404, "no-such-conversation");
    let shown = operator.status(&format!("{id}?client={OTHER}")).await;
    assert_eq!((shown.status, &shown.json()["status"]), (200, &json!("Scheduled")));
    for other in [CLIENT, READER, "nobody"] {
        operator.status(&format!("{id}?client={other}")).await.assert_problem(404, "no-such-conversation");
    }
    operator.status(&format!("{id}?client=*")).await.assert_invalid(&["/client"]);
    operator.status(&format!("{id}?client={OTHER}&more=1")).await.assert_invalid(&["/more"]);
    operator.cancel(&format!("{id}?client={OTHER}")).await.assert_problem(404, "no-such-conversation");
    assert_eq!(app.other_client().status(&id).await.json()["status"], "Scheduled");
    assert_eq!(app.other_client().status(&format!("{id}?client=&more=1")).await.status, 200, "as ever");
}

#[tokio::test]
async fn without_the_scope_nobody_sees_the_conversations_of_others() {
    let app = TestApp::start().await;
    let id = app.client().scheduled(json!({})).await;
    for client in [app.other_client(), app.reader(), app.client(), app.client().with_scopes("conversations:read").await]
    {
        for query in
            [format!("client={CLIENT}"), format!("client={OTHER}"), "client=*".to_owned(), "client=%00".to_owned()]
        {
            for refused in [client.list(&format!("?{query}")).await, client.status(&format!("{id}?{query}")).await] {
                refused.assert_problem(403, "insufficient-scope");
                assert_eq!(refused.challenge(), r#"Bearer error="insufficient_scope", scope="operator""#);
            }
        }
    }
    // The scope of the operation itself is needed beside it.
    let operator = app.client().with_scopes("operator").await;
    operator.list("?client=*").await.assert_problem(403, "insufficient-scope");
    // A list of one's own says nothing of clients.
    let own = app.client().list("").await.json();
    assert!(own["conversations"][0].get("clientId").is_none(), "{own}");
}

#[tokio::test]
async fn a_cursor_of_an_operator_belongs_to_its_list_and_to_the_operator() {
    let app = TestApp::start().await;
    schedule(&app, 2).await;
    let operator = app.client().with_scopes(SCOPES).await;
    let added = app.client().with_scopes("operator").await;
    let body = json!({ "clientId": "second", "scopes": ["operator", "conversations:read"] });
    let key = added.post_json("/api/clients", &body).await.json()["apiKey"].as_str().unwrap().to_owned();
    let second = ApiClient::new(app.address, "second", &key).with_scopes(SCOPES).await;
    let first_page = operator.list("?client=*&limit=1").await.json();
    let cursor = first_page["nextCursor"].as_str().unwrap();
    assert_eq!(operator.list(&format!("?client=*&cursor={cursor}")).await.status, 200);
    second.list(&format!("?client=*&cursor={cursor}")).await.assert_invalid(&["/cursor"]);
    for query in
        [String::new(), format!("client={CLIENT}&"), format!("client={OTHER}&"), "client=*&label=a:b&".to_owned()]
    {
        operator.list(&format!("?{query}cursor={cursor}")).await.assert_invalid(&["/cursor"]);
    }
}

#[tokio::test]
async fn no_tool_has_the_view_of_an_operator() {
    let app = TestApp::start().await;
    let operator = app.client().with_scopes(&format!("{SCOPES} conversations:write")).await;
    let tools = operator.mcp(newest("tools/list", json!({}))).await.json();
    for tool in tools["result"]["tools"].as_array().unwrap() {
        assert!(tool["inputSchema"]["properties"].get("client").is_none(), "{tool}");
        assert!(!tool["name"].as_str().unwrap().ends_with("Client"), "{tool}");
    }
    let refused = operator.call_tool("listConversations", json!({ "client": OTHER })).await;
    assert!(refused.is_error && refused.text.contains("client is not a field"), "{refused:?}");
}
