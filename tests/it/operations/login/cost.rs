//! What a login costs: the calls of the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mcp_scheduler::testing::{Fault, Faults};
use serde_json::json;

use crate::support::app::BareApi;
use crate::support::login::{Program, REDIRECT, text};

/// Counts the calls of the store.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn take(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

impl Faults for Calls {
    fn next(&self) -> Fault {
        self.0.fetch_add(1, SeqCst);
        Fault::None
    }
}

#[tokio::test]
async fn a_login_costs_three_calls_of_the_store_and_a_refresh_two() {
    let calls = Calls::default();
    let api = BareApi::with_faults(calls.clone());
    let table = api.table.clone();
    let api = api.start().await;
    let client = json!({ "clientId": "anna", "redirectUris": [REDIRECT] });
    let key =
        text(&api.client().with_scopes("operator").await.post_json("/api/clients", &client).await.json(), "apiKey")
            .to_owned();
    let registered = Program::registered(api.address).await.id;
    for id in [&*registered, "anna"] {
        // A service that has just started has no client in its cache.
        let api = BareApi { table: table.clone(), ..BareApi::new() }.start().await;
        let program = Program::with_id(api.address, id);
        calls.take();
        let answer = program.approve(&[], ("anna", &key)).await;
        let tokens = program.exchange(&answer["code"], &[]).await.json();
        let login = calls.take();
        let api = BareApi { table: table.clone(), ..BareApi::new() }.start().await;
        let refreshed = Program::with_id(api.address, id).refresh(text(&tokens, "refresh_token"), &[]).await;
        assert_eq!(refreshed.status, 200, "{}", refreshed.text);
        assert_eq!((login, calls.take()), (3, 2), "{id:.10}");
    }
}
