//! A small client of the service, which works over restarts.

use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

/// A client that keeps its connections and its token over restarts of the service.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    pub async fn login(url: &str, client: &str, key: &str) -> Self {
        Self::try_login(url, client, key).await.expect("the service refuses the key")
    }

    /// Logs in; `Err` with the status if the service refuses.
    #[allow(clippy::disallowed_methods)] // a caller, not a part of the service
    pub async fn try_login(url: &str, client: &str, key: &str) -> Result<Self, u16> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let login = json!({ "clientId": client, "apiKey": key }).to_string();
        let request = http.post(format!("{url}/api/auth/token")).header("content-type", "application/json").body(login);
        let response = request.send().await.unwrap();
        if !response.status().is_success() {
            return Err(response.status().as_u16());
        }
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        Ok(Self { http, url: url.to_owned(), token: body["token"].as_str().unwrap().to_owned() })
    }

    /// The same client at another address of the service.
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The JSON that the service shows at this path.
    pub async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    /// Schedules and returns the id; `None` if the service did not accept the conversation.
    pub async fn try_schedule(&self, due: Timestamp, endpoint: &str) -> Option<String> {
        let conversation = json!({
            "conversationText": "hello", "scheduledTime": due.to_string(), "endpoint": endpoint, "timeoutSeconds": 5,
        });
        self.try_schedule_this(&conversation).await
    }

    pub async fn try_schedule_this(&self, conversation: &Value) -> Option<String> {
        self.scheduled_this(conversation).await.ok()
    }

    /// Schedules; `Err` with the status if the service refuses, and without one if it does not answer.
    pub async fn scheduled_this(&self, conversation: &Value) -> Result<String, Option<u16>> {
        let request = self.http.post(format!("{}/api/scheduler/schedule", self.url)).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json").body(conversation.to_string());
        let response = request.send().await.map_err(|_| None)?;
        if !response.status().is_success() {
            return Err(Some(response.status().as_u16()));
        }
        let body: Value = serde_json::from_slice(&response.bytes().await.map_err(|_| None)?).map_err(|_| None)?;
        Ok(body["conversationId"].as_str().unwrap().to_owned())
    }

    pub async fn schedule(&self, after: Duration, endpoint: &str) -> String {
        self.try_schedule(SystemClock.now() + after, endpoint).await.expect("not accepted")
    }

    /// Schedules conversations that must all be accepted, and returns their ids.
    pub async fn schedule_batch(&self, conversations: Vec<Value>) -> Vec<String> {
        let body = json!({ "conversations": conversations }).to_string();
        let request = self.http.post(format!("{}/api/scheduler/batch", self.url)).bearer_auth(&self.token);
        let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["conversationId"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn status(&self, id: &str) -> Value {
        self.try_status(id).await.expect("the service does not know it")
    }

    /// The conversation; `Err` with the HTTP status if the service refuses.
    pub async fn try_status(&self, id: &str) -> Result<Value, u16> {
        let request = self.http.get(format!("{}/api/scheduler/status/{id}", self.url)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        if !response.status().is_success() {
            return Err(response.status().as_u16());
        }
        Ok(serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    /// A page of the client's conversations.
    pub async fn list(&self, query: &str) -> Value {
        let request = self.http.get(format!("{}/api/scheduler{query}", self.url)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    /// Waits until the conversation is Completed, and returns it.
    pub async fn completed(&self, id: &str, patience: Duration) -> Value {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let record = self.status(id).await;
            if record["status"] == "Completed" {
                return record;
            }
            assert!(tokio::time::Instant::now() < deadline, "not completed in time: {record}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
