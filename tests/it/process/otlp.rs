//! What the running program sends to an OpenTelemetry collector.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mcp_scheduler::store::{PartitionSet, Slot, WakeUp};
use mcp_scheduler::time::{Clock as _, SystemClock};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::support::client::{http, in_seconds};
use crate::support::invocations;
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const PATIENCE: Duration = Duration::from_secs(30);
const CLIENT_SPAN: i32 = 3;
const SERVER_SPAN: i32 = 2;
const CONSUMER_SPAN: i32 = 5;

fn start(place: &Place, collector: &str, more: &[(&str, &str)]) -> Service {
    place.start(&[&CONFIGURED[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector)], more].concat())
}

fn text_of(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
    format!("{number:0width$x}", width = bytes.len() * 2)
}

/// The bodies that a collector has received at this path.
fn bodies(collector: &Receiver, path: &str) -> Vec<bytes::Bytes> {
    let received = collector.received().into_iter().filter(|request| request.path == path);
    let check = |request: &crate::support::receiver::Received| {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
    };
    received.inspect(check).map(|request| request.body).collect()
}

fn spans(collector: &Receiver) -> Vec<Span> {
    let requests = bodies(collector, "/v1/traces").into_iter();
    let resources = requests.flat_map(|body| ExportTraceServiceRequest::decode(body).unwrap().resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

/// The metrics of the last export.
fn metrics(collector: &Receiver) -> Vec<Metric> {
    let last = bodies(collector, "/v1/metrics").pop().unwrap();
    let resources = ExportMetricsServiceRequest::decode(last).unwrap().resource_metrics;
    let resource = resources.first().unwrap().resource.clone().unwrap();
    assert_eq!(text_of(&resource.attributes, "service.name").as_deref(), Some("mcp-scheduler"));
    assert_eq!(text_of(&resource.attributes, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    resources.into_iter().flat_map(|r| r.scope_metrics).flat_map(|s| s.metrics).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_metrics_and_the_spans_of_a_schedule_and_its_delivery() {
    let (place, collector, endpoint) = (Place::new(), Receiver::accepting().await, Receiver::accepting().await);
    // What is traced does not depend on what is logged.
    let service = start(&place, &collector.url("/"), &[("RUST_LOG", "warn")]);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let body = json!({ "conversationText": "canary", "scheduledTime": in_seconds(0), "endpoint": endpoint.url("/canary"),
                       "headers": { "x-secret": "canary" } });
    let request = http().post(format!("{}/api/scheduler/schedule", service.url())).bearer_auth(api.token());
    let request = request.header("content-type", "application/json").header("traceparent", TRACEPARENT);
    let answer = request.body(body.to_string()).send().await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let id = answer["conversationId"].as_str().unwrap();
    api.completed(id, PATIENCE).await;
    service.stop();

    let spans = spans(&collector);
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let schedule = named("POST /api/scheduler/schedule");
    assert_eq!(
        (hex(&schedule.trace_id).as_str(), hex(&schedule.parent_span_id).as_str(), schedule.kind),
        ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", SERVER_SPAN)
    );
    for (name, value) in [
        ("operation", "scheduleConversation"),
        ("http.request.method", "POST"),
        ("http.route", "/api/scheduler/schedule"),
        ("http.response.status_code", "200"),
        ("conversation.id", id),
        ("client.id", CLIENT),
    ] {
        assert_eq!(text_of(&schedule.attributes, name).as_deref(), Some(value), "{name}");
    }
    let delivery = named("POST");
    let sent = endpoint.received()[0].headers["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(format!("00-{}-{}-01", hex(&delivery.trace_id), hex(&delivery.span_id)), sent);
    assert_eq!((delivery.kind, hex(&delivery.trace_id)), (CLIENT_SPAN, id.replace('-', "")));
    for (name, value) in [("outcome", "success"), ("server.address", "127.0.0.1"), ("http.response.status_code", "204")]
    {
        assert_eq!(text_of(&delivery.attributes, name).as_deref(), Some(value), "{name}");
    }
    let [link] = delivery.links.as_slice() else { panic!("{delivery:?}") };
    assert_eq!((&link.trace_id, &link.span_id), (&schedule.trace_id, &schedule.span_id));
    for span in [schedule, delivery] {
        assert!(
            span.start_time_unix_nano < span.end_time_unix_nano && span.status.as_ref().is_none_or(|s| s.code == 0)
        );
    }
    let metrics = metrics(&collector);
    let lateness = metrics.iter().find(|metric| metric.name == "scheduler.delivery.lateness").unwrap();
    let Some(Data::Histogram(histogram)) = &lateness.data else { panic!("{lateness:?}") };
    assert_eq!((lateness.unit.as_str(), histogram.data_points[0].count), ("s", 1));
    for request in collector.received() {
        assert!(!request.body.windows(6).any(|part| part == b"canary"), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_endpoint_or_of_the_service_is_one_of_the_span_and_a_wrong_request_is_none() {
    let (place, collector) = (Place::new(), Receiver::accepting().await);
    let endpoint = Receiver::start([Reply::status(400)]).await;
    let service = start(&place, &collector.url(""), &[]);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let id = api.schedule(Duration::ZERO, &endpoint.url("/")).await;
    service.stderr_with("conversation failed");
    http().get(format!("{}/api/nothing", service.url())).send().await.unwrap();
    let refused = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    http().get(format!("{}/health", service.url())).header("traceparent", refused).send().await.unwrap();
    service.stop();
    let spans = spans(&collector);
    let status = |name: &str| spans.iter().find(|span| span.name == name).unwrap().status.clone().map_or(0, |s| s.code);
    assert_eq!((status("POST"), status("GET")), (2, 0), "{id}");
    assert!(spans.iter().all(|span| span.name != "GET /health"), "its caller does not want it to be traced");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_functions_host_a_collector_gets_the_reasons_for_which_wake_ups_were_dropped() {
    let (place, collector, port) = (Place::new(), Receiver::accepting().await, fixed_port().to_string());
    let mut service = start(&place, &collector.url(""), &[("FUNCTIONS_CUSTOMHANDLER_PORT", &port)]);
    let far = WakeUp::of_slot(Slot::of(SystemClock.now() + Duration::from_hours(1)), PartitionSet::ALL);
    for (text, status) in [(invocations::text_of(&far), 200), ("canary".to_owned(), 500)] {
        let request = http().post(format!("{}/deliverDueConversations", service.url()));
        let request = request.header("content-type", "application/json; charset=utf-8");
        let request = request.header("user-agent", "Azure-Functions-Host/4.1037.0.0");
        let request = request.header("x-azure-functions-invocationid", "the-invocation");
        let sent = request.body(invocations::envelope(&text).to_string()).send().await.unwrap();
        assert_eq!(sent.status(), status);
    }
    service.signal("TERM");
    service.wait();
    let metrics = metrics(&collector);
    let dropped = metrics.iter().find(|metric| metric.name == "scheduler.wake_ups.dropped").unwrap();
    let Some(Data::Sum(sum)) = &dropped.data else { panic!("{dropped:?}") };
    let reasons = sum.data_points.iter().map(|point| text_of(&point.attributes, "reason").unwrap());
    let reasons: BTreeSet<_> = reasons.collect();
    assert_eq!(reasons, ["not_a_wake_up", "too_far_ahead"].map(str::to_owned).into());
    let spans = spans(&collector);
    let failed = spans.iter().find(|span| text_of(&span.attributes, "http.response.status_code").unwrap() == "500");
    let failed = failed.unwrap();
    assert_eq!(text_of(&failed.attributes, "faas.invocation_id").as_deref(), Some("the-invocation"));
    assert_eq!((failed.name.as_str(), failed.status.as_ref().unwrap().code), ("POST /deliverDueConversations", 2));
    for (name, value) in [("faas.trigger", "pubsub"), ("messaging.operation.type", "process")] {
        assert_eq!(text_of(&failed.attributes, name).as_deref(), Some(value));
    }
    assert_eq!(failed.kind, CONSUMER_SPAN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_changes_nothing_but_the_log() {
    let (place, endpoint) = (Place::new(), Receiver::accepting().await);
    let collector = format!("http://127.0.0.1:{}/canary", fixed_port());
    let service =
        start(&place, &collector, &[("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_METRIC_EXPORT_INTERVAL", "20")]);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    service.stderr_with("the collector takes no metrics or traces");
    let id = api.schedule(Duration::ZERO, &endpoint.url("/")).await;
    api.completed(&id, PATIENCE).await;
    tokio::time::sleep(Duration::from_millis(200)).await; // several exports fail
    let log = service.stderr();
    assert_eq!(log.matches("the collector takes no metrics or traces").count(), 1, "{log}");
    assert!(!log.contains("canary"), "{log}");
    let stopping = Instant::now();
    service.stop();
    assert!(stopping.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_a_slow_collector_does_not_take_are_dropped_and_no_request_waits_for_it() {
    let place = Place::new();
    let collector = Receiver::start([Reply::status(200).after(Duration::from_mins(1))]).await;
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "32"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")];
    let service = start(&place, &collector.url(""), &[&small[..], &[("OTEL_BSP_SCHEDULE_DELAY", "20")]].concat());
    let (http, url) = (http(), format!("{}/health", service.url()));
    let requests = || join_all((0..50).map(|_| http.get(&url).send()));
    requests().await;
    collector.wait_until(PATIENCE, |received| received.iter().any(|r| r.path == "/v1/traces")).await;
    for _ in 0..10 {
        assert!(requests().await.into_iter().all(|response| response.unwrap().status() == 200));
    }
    let stopping = Instant::now();
    service.stop();
    assert!(stopping.elapsed() < Duration::from_secs(8));
    let sent = spans(&collector).len();
    assert!(sent <= 50 + 32, "{sent} of 550");
}
