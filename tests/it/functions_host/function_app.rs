//! The files of the function app agree with the operations, the settings and the constants of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use mcp_scheduler::config::{Config, settings};
use mcp_scheduler::delivery::{Deliverer, SlotRunner};
use mcp_scheduler::domain::{DeliveryPolicy, Status};
use mcp_scheduler::http::{Access, MAX_DEQUEUE_COUNT, Operation, ServerOptions, invocation_operations, operations};
use serde_json::{Value, json};

use crate::support::delivery_harness::DeliveryHarness;
use crate::support::invocations::{Host, message};
use crate::support::json_schema;

/// The function without an operation. The program answers the requests that no other function takes.
const FALLBACK: &str = "zzFallback";
/// The settings of the host itself.
const HOST_SETTINGS: [&str; 2] = ["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"];

fn read(path: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every function.json by the name of its folder, in alphabetical order.
fn functions() -> BTreeMap<String, Value> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("functions")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), read(&format!("functions/{name}/function.json")))).collect()
}

/// The operations that the host invokes by a queue or a timer. The ping has no folder.
fn invoked() -> Vec<Operation> {
    let all = invocation_operations().into_iter();
    all.filter(|operation| matches!(operation.access, Access::FunctionsHost(_))).collect()
}

fn trigger(function: &str) -> Value {
    read(&format!("functions/{function}/function.json"))["bindings"][0].clone()
}

#[test]
fn every_operation_has_a_folder_and_every_folder_but_the_last_an_operation() {
    let operations = operations().into_iter().chain(invoked()).map(|operation| operation.name.to_owned());
    let names: BTreeSet<_> = operations.chain([FALLBACK.to_owned()]).collect();
    assert_eq!(functions().into_keys().collect::<BTreeSet<_>>(), names);
    assert!(names.iter().all(|name| name.to_lowercase() <= FALLBACK.to_lowercase()), "it is tried last");
}

#[test]
fn every_other_path_and_method_comes_to_the_program_too() {
    let expected = json!({ "bindings": [
        {
            "type": "httpTrigger", "direction": "in", "name": "request", "authLevel": "anonymous",
            "methods": ["get", "post", "put", "patch", "delete", "head", "options", "trace"], "route": "{*rest}",
        },
        { "type": "http", "direction": "out", "name": "response" },
    ]});
    // scripts/package.py closes it to the paths of invocations; the tests in `running` go through the staged app.
    assert_eq!(functions()[FALLBACK], expected);
}

#[test]
fn an_http_function_has_exactly_the_route_and_the_method_of_its_operation() {
    // With another binding, the host would not proxy the function, and its requests would look different.
    for operation in &operations() {
        let function = &functions()[operation.name];
        // An empty route would become the name of the function. "/" takes the place of the host's own page.
        let route = operation.path.strip_prefix('/').filter(|route| !route.is_empty()).unwrap_or("/");
        let expected = json!({ "bindings": [
            {
                "type": "httpTrigger", "direction": "in", "name": "request", "authLevel": "anonymous",
                "methods": [operation.method.as_str().to_lowercase()], "route": route,
            },
            { "type": "http", "direction": "out", "name": "response" },
        ]});
        assert_eq!(*function, expected, "{}", operation.name);
    }
}

#[test]
fn the_queue_and_the_timer_invoke_their_functions() {
    let queue = json!({ "bindings": [{
        "type": "queueTrigger", "direction": "in", "name": "msg", "queueName": "deliveries",
        "connection": "AzureWebJobsStorage",
    }]});
    // Each sweep reads everything, so the host need not remember the last one, and no start needs an extra one.
    let timer = json!({ "bindings": [{
        "type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 * * * * *",
        "useMonitor": false, "runOnStartup": false,
    }]});
    assert_eq!(functions()["deliverDueConversations"], queue);
    assert_eq!(functions()["sweepDueConversations"], timer);
}

#[tokio::test(start_paused = true)]
async fn the_name_of_the_queue_binding_is_the_one_that_is_read() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let name = trigger("deliverDueConversations")["name"].as_str().unwrap().to_owned();
    let answer = Host::of(&harness).deliver(json!({ "Data": { name: message(&due) } }).to_string()).await;
    assert_eq!((answer.status, harness.read(due.id).await.status()), (200, Status::Completed));
}

#[test]
fn the_first_matching_route_by_name_is_the_right_function() {
    let mut sorted: Vec<_> = functions().into_iter().filter(|(name, _)| name != FALLBACK).collect();
    sorted.sort_by_key(|(name, _)| name.to_lowercase());
    let finds = |method: &str, path: &str| {
        let found = sorted.iter().find(|(_, function)| {
            let http = &function["bindings"][0];
            let methods = http["methods"].as_array().cloned().unwrap_or_default();
            methods.contains(&json!(method)) && http["route"].as_str().is_some_and(|route| fits(route, path))
        });
        found.map(|(name, _)| name.as_str())
    };
    for operation in &operations() {
        for id in ["01890000-0000-7000-8000-00000000000f", "no-id-at-all", "schedule", "status"] {
            let path = operation.path.trim_start_matches('/').replace("{id}", id).replace("{name}", id);
            assert_eq!(finds(&operation.method.as_str().to_lowercase(), &path), Some(operation.name), "{path}");
        }
    }
    for operation in &invoked() {
        assert_eq!(finds("post", operation.path.trim_start_matches('/')), None, "no client can call it");
    }
}

/// Matches as the host does: a parameter is any one segment.
fn fits(template: &str, path: &str) -> bool {
    let template = template.trim_start_matches('/');
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(path).all(|(t, p)| t.starts_with('{') || *t == p)
}

#[test]
fn function_names_are_valid_for_the_host() {
    for (name, function) in functions() {
        let good = |name: &str, more: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        assert!(good(&name, "_-") && name.len() <= 128 && name != "host", "{name}");
        for binding in function["bindings"].as_array().unwrap() {
            assert!(good(binding["name"].as_str().unwrap(), ""), "{name}");
            let route = binding["route"].as_str().unwrap_or_default();
            assert!(!route.starts_with("admin") && !route.starts_with("runtime"), "{route}");
        }
    }
}

#[test]
fn host_json_starts_this_program_and_proxies_requests_unchanged() {
    let host = read("host.json");
    assert_eq!(host["version"], "2.0");
    let expected = json!({
        "description": { "defaultExecutablePath": env!("CARGO_PKG_NAME") },
        "enableProxyingHttpRequest": true, "enableForwardingHttpRequest": true,
    });
    assert_eq!(host["customHandler"], expected);
    assert_eq!(host["extensions"]["http"], json!({ "routePrefix": "" }));
    let bundle = json!({ "id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)" });
    assert_eq!(host["extensionBundle"], bundle);
    // A profile would add a route that matches every path.
    assert_eq!(host.get("configurationProfile"), None);
}

#[test]
fn the_host_hands_out_a_few_messages_at_once_because_each_names_many_rows() {
    let queues = &read("host.json")["extensions"]["queues"];
    let number = |name: &str| queues[name].as_u64().unwrap();
    let (batch, threshold) = (number("batchSize"), number("newBatchThreshold"));
    assert_eq!(batch + threshold, 16);
    let rows = (batch + threshold) * SlotRunner::ROWS as u64;
    assert!(rows >= 2 * Deliverer::MAX_IN_FLIGHT_UNDER_HOST as u64, "an instance is busy with half of them");
    // With a threshold of 0 the host would wait for the slowest message of a batch before it takes the next batch.
    assert!(threshold > 0);
    assert_eq!(number("maxDequeueCount"), MAX_DEQUEUE_COUNT);
    assert_eq!(queues["messageEncoding"], "none");
    assert_eq!((&queues["maxPollingInterval"], &queues["visibilityTimeout"]), (&json!("00:00:01"), &json!("00:00:30")));
}

#[test]
fn the_timeout_of_the_host_is_longer_than_every_invocation() {
    let timeout = seconds(read("host.json")["functionTimeout"].as_str().unwrap());
    // A timeout ends the process with all its other work. A row waits for a permit until the end of the patience, and its
    // attempt then lasts as long as its lease.
    let longest = SlotRunner::PATIENCE + Duration::from_mins(1) + DeliveryPolicy::LEASE_MARGIN;
    assert!(timeout >= 2 * longest, "{timeout:?}");
    assert_eq!(timeout, Duration::from_mins(10), "the Consumption plan allows no more");
    assert!(ServerOptions::under_host().idle >= Duration::from_mins(5));
}

fn seconds(span: &str) -> Duration {
    Duration::from_secs(span.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u64>().unwrap()))
}

#[test]
fn telemetry_is_sampled() {
    let sampling = &read("host.json")["logging"]["applicationInsights"]["samplingSettings"];
    assert_eq!(sampling["isEnabled"], true);
    assert!(sampling["maxTelemetryItemsPerSecond"].as_u64().is_some_and(|items| items <= 20));
}

#[test]
fn the_example_has_every_setting_with_its_default_and_what_the_host_needs() {
    let example = read("local.settings.json.example");
    assert_eq!(example["IsEncrypted"], false);
    let values = example["Values"].as_object().unwrap();
    let names: BTreeSet<_> = values.keys().map(String::as_str).collect();
    let expected: BTreeSet<_> = settings().map(|(name, _)| name).chain(HOST_SETTINGS).collect();
    assert_eq!(names, expected);
    let own = [
        ("FUNCTIONS_WORKER_RUNTIME", "custom"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        // The function app uses the Azure backend, which generates no secrets: those of the example are public.
        ("USE_AZURE_SERVICES", "true"),
        ("SCHEDULER_CLIENT_ID", "local"),
        ("SCHEDULER_API_KEY", "not-a-secret-only-for-func-start"),
        ("JWT_SIGNING_KEYS", "local:cHVibGljIGtleSBmb3IgZnVuYyBzdGFydCwgbm8gc2VjcmV0"),
        ("WEBHOOK_SIGNING_SECRETS", "whsec_cHVibGljIHNlY3JldCBmb3IgZnVuYyBzdGFydA=="),
        ("DATA_ENCRYPTION_KEYS", "d1:7075626c69632064617461206b657920666f722066756e632073746172742121"),
        // Under the host there is no default. A receiver on `localhost` often listens on ::1 alone.
        ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128"),
    ];
    for (name, default) in settings().chain(own) {
        let value = own.iter().find(|(own, _)| *own == name).map_or(default, |(_, value)| value);
        assert_eq!(values[name], value, "{name}");
    }
}

#[test]
fn the_example_stops_the_start_of_an_app_on_azure() {
    // Its secrets are public, so it must not work there when somebody uploads it.
    let example = read("local.settings.json.example");
    let on_azure = |name: &str| match name {
        "WEBSITE_SKU" => Some("FlexConsumption".to_owned()),
        _ => example["Values"][name].as_str().map(str::to_owned),
    };
    let error = Config::from_vars(on_azure).unwrap_err().to_string();
    assert!(error.contains("\n  DELIVERY_ALLOWED_NETWORKS: 127.0.0.0/8 contains addresses of the machine"), "{error}");
}

#[test]
fn the_connection_of_each_trigger_is_a_setting() {
    let connection = trigger("deliverDueConversations")["connection"].as_str().unwrap().to_owned();
    assert!(read("local.settings.json.example")["Values"][connection].is_string());
}

#[test]
fn all_files_match_their_published_schemas() {
    let schema = |name: &str| read(&format!("tests/fixtures/schemas/functions.{name}.json"));
    json_schema::check(&schema("host"), &read("host.json")).unwrap();
    json_schema::check(&schema("local.settings"), &read("local.settings.json.example")).unwrap();
    for (name, function) in functions() {
        json_schema::check(&schema("function"), &function).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    let mut wrong = read("host.json");
    wrong["extensions"]["queues"]["batchsize"] = json!(32);
    assert!(json_schema::check(&schema("host"), &wrong).is_err());
}
