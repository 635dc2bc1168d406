//! What the tests of the operations on many conversations share.

use http::Method;
use mcp_scheduler::store::{ConversationStore, KeyRange, Table as _};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable};
use serde_json::{Value, json};

use crate::support::client::{Answer, ApiClient};
use crate::support::simulation::seeded_rng::SeededRng;

/// Of a thousand calls of the store, this many fail or lose their answers.
pub struct Lossy(pub SeededRng, pub u64);

impl Faults for Lossy {
    fn next(&self) -> Fault {
        if self.0.chance(self.1) {
            self.0.pick(&[Fault::Refused, Fault::RequestLost, Fault::AnswerLost])
        } else {
            Fault::None
        }
    }
}

/// The number of conversations in a table, whose reads may fail.
pub async fn main_rows(table: &SimulatedTable) -> usize {
    let mut count = 0;
    for partition in ConversationStore::partitions() {
        count += loop {
            if let Ok(rows) = table.scan(partition, &KeyRange::prefix("m~"), 1000).await {
                break rows.len();
            }
        };
    }
    count
}

/// Calls an operation with a JSON body.
pub async fn post(client: &ApiClient, path: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, path).await.header("content-type", "application/json");
    Answer::to(request.body(body.to_string())).await
}

/// Calls an operation again and again with the cursor of the call before. Returns the sum of a member of the responses,
/// the sum of what was skipped, and the number of calls.
pub async fn walk(client: &ApiClient, path: &str, member: &str, mut body: Value) -> (u64, u64, usize) {
    let (mut changed, mut skipped) = (0, 0);
    for calls in 1..100 {
        let answer = post(client, path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = answer.json();
        changed += answer[member].as_u64().unwrap();
        skipped += answer["skipped"].as_u64().unwrap();
        match answer.get("cursor") {
            Some(cursor) => body["cursor"] = json!(cursor),
            None => return (changed, skipped, calls),
        }
    }
    panic!("the cursor leads in circles");
}
