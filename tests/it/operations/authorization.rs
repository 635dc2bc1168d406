//! Scopes: which operations a token allows.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mcp_scheduler::auth::{
    ApiKey, AuthError, Authenticator, ClientAdmin, ClientDirectory, IssuedToken, SigningKeys, Source, TokenGrant,
    TokenSettings, hash_key,
};
use mcp_scheduler::domain::{Scope, Scopes, Secret, Timestamp};
use mcp_scheduler::http::{Access, operations};
use mcp_scheduler::public_url::Resource;
use mcp_scheduler::store::{ClientStore, Operation, Partition, Row, Table as _};
use mcp_scheduler::testing::SimulatedTable;
use mcp_scheduler::time::SystemEntropy;
use serde_json::json;

use crate::support::app::{CLIENT, Fixed, KEY, OTHER, TestApp};
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;
use crate::support::mcp_wire::newest;

/// The scope that an operation of a client needs.
fn scope_of(operation: &str) -> &'static str {
    match operation {
        "getConversationStatus"
        | "waitForConversation"
        | "getNamedConversation"
        | "listConversations"
        | "previewTime"
        | "getCurrentTime" => "conversations:read",
        "scheduleConversation"
        | "updateConversation"
        | "cancelConversation"
        | "redeliverConversation"
        | "runConversation"
        | "scheduleNamedConversation"
        | "cancelNamedConversation"
        | "scheduleBatch"
        | "cancelConversations"
        | "redeliverConversations"
        | "receiveConversations"
        | "acknowledgeConversation" => "conversations:write",
        "getSigningKeys" => "webhooks:read",
        "listClients"
        | "addClient"
        | "getClient"
        | "rotateClientKey"
        | "retireClientKey"
        | "disableClient"
        | "enableClient"
        | "setClientSignatures"
        | "setClientLimits"
        | "approveClientHost"
        | "exportConversations"
        | "importConversations" => "operator",
        other => panic!("which scope does {other} need?"),
    }
}

/// A token of the first client with this scope.
pub async fn token(client: &ApiClient, scope: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    let request = client.anonymous(Method::POST, "/oauth/token").basic_auth(CLIENT, Some(KEY)).form(&form);
    Answer::unchecked(request).await.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_operation_needs_its_own_scope() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    client.put_named("daily", conversation(json!({}))).await;
    for scope in Scope::ALL.map(Scope::as_str) {
        let token = token(&client, scope).await;
        // In reverse order, so that the operations that end the conversation come last.
        for operation in operations().iter().filter(|operation| matches!(operation.access, Access::Client { .. })).rev()
        {
            let needed = scope_of(operation.name);
            let path = operation.path.replace("{id}", &id).replace("{name}", "daily").replace("{clientId}", OTHER);
            let path = if operation.name == "waitForConversation" { format!("{path}?waitSeconds=0") } else { path };
            let request = client.anonymous(operation.method.clone(), &path).bearer_auth(&token);
            let request = request.header("content-type", "application/json");
            let body = match operation.name {
                "addClient" => json!({ "clientId": "new" }),
                "approveClientHost" => json!({ "host": "a.example" }),
                "setClientSignatures" => json!({ "signatures": ["v1"] }),
                "importConversations" => {
                    json!({ "lines": [{ "client": { "v": 1, "row": { "id": "new", "keyHashes": [] } } }] })
                }
                "previewTime" => json!({ "delay": "0s" }),
                "receiveConversations" | "setClientLimits" => json!({}),
                "acknowledgeConversation" => json!({ "receipt": "0-1-00000000000007" }),
                "scheduleBatch" => json!({ "conversations": [conversation(json!({}))] }),
                "cancelConversations" | "redeliverConversations" => json!({ "filter": { "label": "no:such" } }),
                _ => conversation(json!({})),
            };
            let answer = Answer::to(request.body(body.to_string())).await;
            if (operation.name, scope) == ("receiveConversations", "conversations:write") {
                // It returns texts, so it needs both.
                answer.assert_problem(403, "insufficient-scope");
                continue;
            }
            if needed == scope {
                assert!(matches!(answer.status, 200 | 409), "{}: {answer:?}", operation.name);
                continue;
            }
            answer.assert_problem(403, "insufficient-scope");
            let challenge = format!(r#"Bearer error="insufficient_scope", scope="{needed}""#);
            assert_eq!(answer.challenge(), challenge, "{}", operation.name);
        }
    }
}

#[tokio::test]
async fn a_read_only_client_looks_and_changes_nothing() {
    let app = TestApp::start().await;
    let reader = app.reader();
    assert_eq!(reader.list("").await.status, 200);
    let refused = reader.schedule(json!({})).await;
    refused.assert_problem(403, "insufficient-scope");
    golden::check("problem-insufficient-scope", &refused.json());
    // The refusal does not say whether the conversation exists.
    let id = app.client().scheduled(json!({})).await;
    assert_eq!(reader.cancel(&id).await.text, reader.cancel("no-id").await.text);
    assert_eq!(app.client().status(&id).await.json()["status"], "Scheduled");
}

/// The source of a request from this machine.
pub fn here() -> Source {
    IpAddr::from(Ipv4Addr::LOCALHOST).into()
}

/// An authenticator over clients in a table.
struct Gate {
    table: Arc<SimulatedTable>,
    authenticator: Authenticator,
}

impl Gate {
    const KEY: &str = "a-key-for-the-gate";

    fn new() -> Self {
        let table = Arc::new(SimulatedTable::new(()));
        let directory = ClientDirectory::new(None, ClientStore::new(Arc::clone(&table) as _));
        let settings = TokenSettings { issuer: "i".to_owned(), audience: "a".to_owned(), ttl_seconds: 3600 };
        let keys: SigningKeys = format!("k:{}", "ab".repeat(32)).parse().unwrap();
        let public_url = "https://scheduler.example.com".parse().unwrap();
        let clock = Arc::new(Fixed(Timestamp::from_millis(1_900_000_000_000)));
        Self { table, authenticator: Authenticator::new(directory, keys, settings, public_url, clock) }
    }

    /// Adds or changes a client. Rows of releases before scopes have none.
    async fn put(&self, name: &str, scopes: Option<Scopes>) {
        let key = ApiKey::new(Secret::new(Self::KEY.to_owned())).unwrap();
        let mut row = json!({ "id": name, "keyHashes": [hash_key(&key, &SystemEntropy::new())] });
        if let Some(scopes) = scopes {
            row["scopes"] = scopes.to_string().into();
        }
        let (partition, value) = (Partition::new("clients"), json!({ "v": 1, "row": row }).to_string());
        let operation = match self.table.get(partition, name).await.unwrap() {
            Some(Row { key, etag, .. }) => Operation::Replace { key, value, if_match: Some(etag) },
            None => Operation::Insert { key: name.to_owned(), value },
        };
        self.table.commit(partition, vec![operation]).await.unwrap();
    }

    async fn issue(&self, name: &str, scopes: Scopes) -> Result<IssuedToken, AuthError> {
        let (key, grant) = (Secret::new(Self::KEY.to_owned()), TokenGrant { scopes, ..TokenGrant::default() });
        self.authenticator.issue(name, &key, grant, here(), &SystemEntropy::new()).await
    }

    /// The scopes that a token allows.
    async fn allowed(&self, token: &IssuedToken) -> Scopes {
        let value = format!("Bearer {}", token.token.expose());
        let principal = self.authenticator.authenticate(&[value.as_bytes()], Resource::Api, here()).await.unwrap();
        Scope::ALL.into_iter().filter(|scope| principal.require(*scope).is_ok()).collect()
    }
}

fn sets() -> [Scopes; 7] {
    [
        Scopes::none(),
        Scope::Read.into(),
        Scope::Write.into(),
        Scope::Operator.into(),
        Scopes::on_conversations(),
        Scopes::all(),
        Scopes::with_operator(),
    ]
}

/// Every combination: the scopes of the client, the requested scopes, and the scopes of the client later.
#[tokio::test(start_paused = true)]
async fn a_token_never_allows_more_than_its_client_may_do() {
    for (i, (had, asked)) in sets().iter().flat_map(|had| sets().map(|asked| (*had, asked))).enumerate() {
        let gate = Gate::new();
        let name = format!("client-{i}");
        gate.put(&name, Some(had)).await;
        let token = match gate.issue(&name, asked).await {
            Ok(token) => token,
            Err(AuthError::NoScope) => {
                assert!((had & asked).is_empty(), "{had} asks for {asked}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(token.scopes, had & asked);
        assert_eq!(gate.allowed(&token).await, had & asked);
        for has in sets() {
            gate.put(&name, Some(has)).await;
            tokio::time::advance(Duration::from_mins(1)).await;
            assert_eq!(gate.allowed(&token).await, had & asked & has, "{had}, {asked}, then {has}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_stored_scopes_has_those_on_conversations() {
    let gate = Gate::new();
    gate.put("old", None).await;
    let token = gate.issue("old", Scopes::all()).await.unwrap();
    assert_eq!(gate.allowed(&token).await, Scopes::on_conversations());
    gate.put("old", Some(Scope::Read.into())).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(gate.allowed(&token).await, Scopes::on_conversations(), "a client is believed for a minute");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(gate.allowed(&token).await, Scope::Read.into());
}

/// A token that nobody asked to be an operator's is in the hands of an agent.
#[tokio::test]
async fn a_token_is_for_an_operator_only_if_it_was_asked_for() {
    let app = TestApp::start().await;
    let client = app.client();
    assert_eq!(client.get("/api/clients").await.challenge(), r#"Bearer error="insufficient_scope", scope="operator""#);
    let form = [("grant_type", "client_credentials")];
    let request = client.anonymous(Method::POST, "/oauth/token").basic_auth(CLIENT, Some(KEY)).form(&form);
    let issued = Answer::unchecked(request).await.json();
    assert_eq!(issued["scope"], "conversations:read conversations:write webhooks:read");
    let operator = app.client().with_scopes("operator").await;
    assert_eq!(operator.get("/api/clients").await.status, 200);
    operator.list("").await.assert_problem(403, "insufficient-scope");
    let tools = operator.mcp(newest("tools/list", json!({}))).await.json();
    assert_eq!(tools["result"]["tools"], json!([]));
    // A client without the scope does not get it by asking.
    let form = [("grant_type", "client_credentials"), ("scope", "operator")];
    let other = app.other_client();
    let request = client.anonymous(Method::POST, "/oauth/token").basic_auth(OTHER, Some(other.key())).form(&form);
    assert_eq!(Answer::unchecked(request).await.json()["error"], "invalid_scope");
}

/// Another process disables the client: this one reads it again within a minute.
#[tokio::test(start_paused = true)]
async fn the_tokens_of_a_disabled_client_stop_within_60_seconds_and_it_gets_no_others() {
    let gate = Gate::new();
    gate.put("anna", Some(Scopes::all())).await;
    let token = gate.issue("anna", Scopes::all()).await.unwrap();
    let header = format!("Bearer {}", token.token.expose());
    let is_accepted =
        async |resource| gate.authenticator.authenticate(&[header.as_bytes()], resource, here()).await.is_ok();
    for wait in [1, 59] {
        assert!(is_accepted(Resource::Api).await && is_accepted(Resource::Mcp).await);
        if wait == 1 {
            let clock = Arc::new(Fixed(Timestamp::from_millis(1_900_000_001_000)));
            let directory = Arc::new(ClientDirectory::new(None, ClientStore::new(Arc::clone(&gate.table) as _)));
            let admin = ClientAdmin::new(directory, clock, Arc::new(SystemEntropy::new()));
            admin.disable(&"anna".parse().unwrap()).await.unwrap();
            assert!(matches!(gate.issue("anna", Scopes::all()).await, Err(AuthError::WrongCredentials)), "at once");
        }
        tokio::time::advance(Duration::from_secs(wait)).await;
    }
    assert!(!is_accepted(Resource::Api).await && !is_accepted(Resource::Mcp).await);
}
