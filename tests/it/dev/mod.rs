//! `mcp-scheduler dev`: its clock, its inbox and its page.

mod clock;
mod helpers;
mod inbox;
mod turner;

use std::net::SocketAddr;

use mcp_scheduler::app::{App, DevClient};
use mcp_scheduler::config::Config;
use mcp_scheduler::domain::{Scopes, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::client::ApiClient;

/// A service for development in this process. It ends when it is dropped.
struct DevApp {
    address: SocketAddr,
    client: DevClient,
    stop: CancellationToken,
}

impl DevApp {
    async fn start() -> Self {
        let config = Config::from_vars(|name| (name == "PORT").then(|| "0".to_owned())).unwrap();
        let (app, client) = App::start_dev(config).await.unwrap();
        let (address, stop) = (app.address(), CancellationToken::new());
        tokio::spawn(app.run(stop.clone()));
        Self { address, client, stop }
    }

    fn client(&self) -> ApiClient {
        ApiClient::new(self.address, self.client.id.as_str(), self.client.api_key.expose())
    }

    /// A client that is added to the first one.
    async fn another_client(&self, id: &str) -> ApiClient {
        let operator = self.client().with_scopes(&Scopes::with_operator().to_string()).await;
        let added = operator.post_json("/api/clients", &json!({ "clientId": id })).await.json();
        ApiClient::new(self.address, id, added["apiKey"].as_str().unwrap())
    }

    /// The URL of a path of this service.
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Turns the clock, and returns what that came to.
    async fn turn(&self, by: &str) -> Value {
        let answer = self.client().post_json("/dev/clock", &json!({ "advance": by })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The time on the clock.
    async fn now(&self) -> Timestamp {
        time(&self.client().get("/dev/clock").await.json()["now"])
    }

    /// The deliveries in the inbox, the first one first.
    async fn arrivals(&self) -> Vec<Value> {
        self.client().get("/dev/inbox").await.json()["arrivals"].as_array().unwrap().clone()
    }
}

impl Drop for DevApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Schedules a conversation, which has a text unless it names one, and returns its id.
async fn schedule(client: &ApiClient, mut conversation: Value) -> String {
    conversation.as_object_mut().unwrap().entry("conversationText").or_insert(json!("hello"));
    let answer = client.schedule_raw(conversation.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["conversationId"].as_str().unwrap().to_owned()
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}
