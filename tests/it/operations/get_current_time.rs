//! `getCurrentTime`

use std::sync::Arc;

use mcp_scheduler::domain::Timestamp;
use serde_json::json;

use crate::support::app::{BareApi, Fixed};

const NOW: &str = "2030-01-01T09:00:00.000Z";

#[tokio::test]
async fn the_current_time_is_that_of_the_server_also_in_a_zone() {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    let api = BareApi { clock, ..BareApi::new() }.start().await;
    let client = api.client();
    let tokyo = "2030-01-01T18:00:00.000+09:00[Asia/Tokyo]";
    for (query, arguments, expected) in [
        ("", json!({}), json!({ "serverTime": NOW })),
        ("?timeZone=Asia/Tokyo", json!({ "timeZone": "Asia/Tokyo" }), json!({ "serverTime": NOW, "localTime": tokyo })),
    ] {
        let answer = client.get(&format!("/api/scheduler/time{query}")).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()));
        let called = client.call_tool("getCurrentTime", arguments).await;
        assert_eq!(called.structured, expected);
        assert!(expected.as_object().unwrap().values().all(|time| called.text.contains(time.as_str().unwrap())));
    }
    client.get("/api/scheduler/time?timeZone=Tokyo").await.assert_invalid(&["/timeZone"]);
    client.get("/api/scheduler/time?delay=5m").await.assert_invalid(&["/delay"]);
}
