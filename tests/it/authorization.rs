//! What a token allows: scopes.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mcp_scheduler::auth::{ApiKey, AuthError, Authenticator, Directory, Grant, IssuedToken, TokenSettings, hash_key};
use mcp_scheduler::clock::SystemEntropy;
use mcp_scheduler::domain::{Scope, Scopes, Secret, Timestamp};
use mcp_scheduler::store::{ClientStore, Operation, Partition, Row, SimulatedTable, Table as _};
use serde_json::json;

use crate::support::app::{Fixed, TestApp};
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;

/// Every operation on conversations, with the scope it needs.
fn operations(id: &str) -> [(Method, String, &'static str); 5] {
    [
        (Method::POST, "/api/scheduler/schedule".to_owned(), "conversations:write"),
        (Method::GET, format!("/api/scheduler/status/{id}"), "conversations:read"),
        (Method::GET, "/api/scheduler".to_owned(), "conversations:read"),
        (Method::DELETE, format!("/api/scheduler/{id}"), "conversations:write"),
        (Method::POST, format!("/api/scheduler/{id}/redeliver"), "conversations:write"),
    ]
}

async fn call(client: &ApiClient, token: &str, method: Method, path: &str) -> Answer {
    let request = client.anonymous(method.clone(), path).bearer_auth(token);
    Answer::to(match method {
        Method::POST => request.header("content-type", "application/json").body(conversation(json!({})).to_string()),
        _ => request,
    })
    .await
}

#[tokio::test]
async fn a_read_only_client_reads_and_is_told_what_it_lacks_for_the_rest() {
    let app = TestApp::start().await;
    let (reader, id) = (app.reader(), app.client().scheduled(json!({})).await);
    let token = reader.token().await;
    for (method, path, scope) in operations(&id) {
        let answer = call(&reader, token, method, &path).await;
        if scope == "conversations:read" {
            // Its own conversations: there are none.
            assert!(matches!(answer.status, 200 | 404), "{answer:?}");
            continue;
        }
        answer.assert_problem(403, "insufficient-scope");
        assert_eq!(answer.challenge(), r#"Bearer error="insufficient_scope", scope="conversations:write""#);
    }
    golden::check("problem-insufficient-scope", &reader.schedule(json!({})).await.json());
    assert_eq!(app.client().status(&id).await.json()["status"], "Scheduled");
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
        let directory = Directory::new(None, ClientStore::new(Arc::clone(&table) as _));
        let settings = TokenSettings { issuer: "i".to_owned(), audience: "a".to_owned(), ttl_seconds: 3600 };
        let keys = format!("k:{}", "ab".repeat(32)).parse().unwrap();
        let public_url = "https://scheduler.example.com".parse().unwrap();
        let clock = Arc::new(Fixed(Timestamp::from_millis(1_900_000_000_000)));
        Self { table, authenticator: Authenticator::new(directory, keys, settings, public_url, clock) }
    }

    /// Adds or changes a client. A row from before there were scopes has none.
    async fn put(&self, name: &str, scopes: Option<Scopes>) {
        let key = ApiKey::new(Secret::new(Self::KEY.to_owned())).unwrap();
        let mut row = json!({ "id": name, "keyHashes": [hash_key(&key, &SystemEntropy::new())] });
        if let Some(scopes) = scopes {
            row["scopes"] = scopes.to_string().into();
        }
        let (partition, value) = (Partition::new("clients"), json!({ "v": 1, "row": row }).to_string());
        let operation = match self.table.get(partition, name).await.unwrap() {
            Some(Row { key, etag, .. }) => Operation::Replace { key, value, if_match: etag },
            None => Operation::Insert { key: name.to_owned(), value },
        };
        self.table.commit(partition, vec![operation]).await.unwrap();
    }

    async fn issue(&self, name: &str, scopes: Scopes) -> Result<IssuedToken, AuthError> {
        let (key, grant) = (Secret::new(Self::KEY.to_owned()), Grant { scopes, ..Grant::default() });
        self.authenticator.issue(name, &key, grant, Ipv4Addr::LOCALHOST.into(), &SystemEntropy::new()).await
    }

    /// What a token allows.
    async fn allowed(&self, token: &IssuedToken) -> Scopes {
        let value = format!("Bearer {}", token.token.expose());
        let principal = self.authenticator.authenticate(&[value.as_bytes()]).await.unwrap();
        Scope::ALL.into_iter().filter(|scope| principal.require(*scope).is_ok()).collect()
    }
}

fn sets() -> [Scopes; 4] {
    [Scopes::none(), Scope::Read.into(), Scope::Write.into(), Scopes::all()]
}

/// All that can happen to scopes: the client has some, asks for some, and later has some others.
#[tokio::test(start_paused = true)]
async fn a_token_never_allows_what_its_client_may_not_do() {
    for (i, (had, asked)) in sets().iter().flat_map(|had| sets().map(|asked| (*had, asked))).enumerate() {
        let gate = Gate::new();
        let name = format!("client-{i}");
        gate.put(&name, Some(had)).await;
        let token = match gate.issue(&name, asked).await {
            Ok(token) => token,
            Err(AuthError::InvalidScope) => {
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
async fn a_client_from_before_there_were_scopes_has_them_all_until_it_is_narrowed() {
    let gate = Gate::new();
    gate.put("old", None).await;
    let token = gate.issue("old", Scopes::all()).await.unwrap();
    assert_eq!(gate.allowed(&token).await, Scopes::all());
    gate.put("old", Some(Scope::Read.into())).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(gate.allowed(&token).await, Scopes::all(), "a client is believed for a minute");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(gate.allowed(&token).await, Scope::Read.into());
}
