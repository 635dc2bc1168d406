//! The app with the settings of `local.settings.json.example`, as docs/functions.md starts it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::functions_host::{Host, Source};
use crate::support::host_harness::{HostHarness, PATIENCE};
use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;

#[tokio::test(flavor = "multi_thread")]
async fn the_app_starts_and_delivers_with_the_example_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("local.settings.json.example");
    let example: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let setting = |name: &str| example["Values"][name].as_str().unwrap().to_owned();
    let (client, key) = (setting("SCHEDULER_CLIENT_ID"), setting("SCHEDULER_API_KEY"));

    let harness = HostHarness::new();
    let mut options = harness.options();
    let names = example["Values"].as_object().unwrap().keys();
    options.settings = names.map(|name| (name.clone(), setting(name))).collect();
    // Azurite has other ports in the tests than on a developer's machine.
    options.settings.retain(|(name, _)| name != "AzureWebJobsStorage");
    options.settings.push(("AzureWebJobsStorage".to_owned(), harness.connection.clone()));
    // `func start` sets this one.
    options.settings.push(("WEBSITE_HOSTNAME".to_owned(), "localhost:7071".to_owned()));

    let (host, receiver) = (Host::start(options).await, Receiver::start(Duration::ZERO).await);
    let api = Api::login(&host.url(), &client, &key).await;
    let id = api.schedule(Duration::ZERO, &receiver.endpoint).await;
    api.completed(&id, PATIENCE).await;
    assert_eq!(host.lines(Source::Stderr), [""; 0]);
}
