//! The metrics: what the service counts and measures ([docs/metrics.md](../../docs/metrics.md)).
//!
//! As with log lines, one recorder serves the whole process: what is measured says nothing about what the program does.
//! Nothing is recorded until one is installed. The values of attributes are texts of the program or numbers of statuses,
//! never the id of a client or a conversation and never a host, so a metric has few series whatever callers do.

mod definitions;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use prometheus::TextEncoder;

use definitions::{
    ATTEMPT_DURATION, AUTH_FAILURES, DELIVERIES, DURATION_BUCKETS, LATENESS, LATENESS_BUCKETS, POISON_QUEUE,
    REQUEST_DURATION, SCHEDULED, STORAGE_BUCKETS, STORAGE_DURATION, SWEEP_ENQUEUED, SWEEP_OVERDUE, SWEEPS,
    TOOL_DURATION, WAKE_UPS_DROPPED,
};
pub use definitions::{DEFINITIONS, Definition};

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// Records in the metrics of the process, if there are some.
pub fn record(measure: impl FnOnce(&Metrics)) {
    if let Some(metrics) = METRICS.get() {
        measure(metrics);
    }
}

/// The media type of [`exposition`].
pub const EXPOSITION_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics of the process in the text format of Prometheus. It is empty if nothing is recorded for Prometheus.
///
/// # Errors
/// [`prometheus::Error`] if a metric has no such form, which is a defect.
pub fn exposition() -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&prometheus::gather())
}

/// The instruments. Each function is one thing that happens.
#[derive(Debug)]
pub struct Metrics {
    request_duration: Histogram<f64>,
    tool_duration: Histogram<f64>,
    scheduled: Counter<u64>,
    lateness: Histogram<f64>,
    attempt_duration: Histogram<f64>,
    deliveries: Counter<u64>,
    sweeps: Counter<u64>,
    sweep_enqueued: Counter<u64>,
    sweep_overdue: Gauge<f64>,
    poison_queue: Gauge<u64>,
    wake_ups_dropped: Counter<u64>,
    storage_duration: Histogram<f64>,
    auth_failures: Counter<u64>,
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnd {
    /// Its method; one that HTTP does not define is `_OTHER`.
    pub method: &'static str,
    /// The path of its operation, if it has one.
    pub route: Option<&'static str>,
    /// The status of the response. None if its connection was closed before.
    pub status: Option<u16>,
    /// The time that it took.
    pub duration: Duration,
}

impl Metrics {
    /// Creates the instruments.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let histogram = |Definition { name, unit, description }, buckets: &[f64]| {
            let builder = meter.f64_histogram(name).with_unit(unit).with_description(description);
            builder.with_boundaries(buckets.to_vec()).build()
        };
        let counter = |Definition { name, unit, description }| {
            meter.u64_counter(name).with_unit(unit).with_description(description).build()
        };
        let Definition { name, unit, description } = SWEEP_OVERDUE;
        let sweep_overdue = meter.f64_gauge(name).with_unit(unit).with_description(description).build();
        let Definition { name, unit, description } = POISON_QUEUE;
        let poison_queue = meter.u64_gauge(name).with_unit(unit).with_description(description).build();
        Self {
            request_duration: histogram(REQUEST_DURATION, &DURATION_BUCKETS),
            tool_duration: histogram(TOOL_DURATION, &DURATION_BUCKETS),
            scheduled: counter(SCHEDULED),
            lateness: histogram(LATENESS, &LATENESS_BUCKETS),
            attempt_duration: histogram(ATTEMPT_DURATION, &DURATION_BUCKETS),
            deliveries: counter(DELIVERIES),
            sweeps: counter(SWEEPS),
            sweep_enqueued: counter(SWEEP_ENQUEUED),
            sweep_overdue,
            poison_queue,
            wake_ups_dropped: counter(WAKE_UPS_DROPPED),
            storage_duration: histogram(STORAGE_DURATION, &STORAGE_BUCKETS),
            auth_failures: counter(AUTH_FAILURES),
        }
    }

    /// Makes these the metrics of the process, unless it has some.
    pub fn install(self) {
        let _ = METRICS.set(self);
    }

    /// A request is over.
    pub fn request(&self, RequestEnd { method, route, status, duration }: RequestEnd) {
        let mut attributes = Vec::with_capacity(4);
        attributes.push(KeyValue::new("http.request.method", method));
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        match status {
            Some(status) => attributes.push(KeyValue::new("http.response.status_code", i64::from(status))),
            None => attributes.push(KeyValue::new("error.type", "connection_closed")),
        }
        self.request_duration.record(duration.as_secs_f64(), &attributes);
    }

    /// A tool was called. `error` is the type of the problem with which it failed.
    pub fn tool(&self, name: &'static str, error: Option<&'static str>, duration: Duration) {
        let mut attributes =
            vec![KeyValue::new("mcp.method.name", "tools/call"), KeyValue::new("gen_ai.tool.name", name)];
        attributes.extend(error_type(error));
        self.tool_duration.record(duration.as_secs_f64(), &attributes);
    }

    /// A conversation was accepted.
    pub fn scheduled(&self) {
        self.scheduled.add(1, &[]);
    }

    /// An attempt is over. `error` is the class of its error.
    pub fn attempt(&self, outcome: &'static str, error: Option<&'static str>, duration: Duration, lateness: Duration) {
        self.lateness.record(lateness.as_secs_f64(), &[]);
        let mut attributes = vec![KeyValue::new("outcome", outcome)];
        attributes.extend(error_type(error));
        self.attempt_duration.record(duration.as_secs_f64(), &attributes);
    }

    /// A delivery has ended, with success or for good.
    pub fn delivery(&self, has_failed: bool) {
        self.deliveries.add(1, &[KeyValue::new("outcome", if has_failed { "failed" } else { "completed" })]);
    }

    /// A sweep has ended with these findings.
    pub fn sweep(&self, enqueued: usize, overdue: Duration, poison_queue_length: usize) {
        self.sweeps.add(1, &[KeyValue::new("outcome", "success")]);
        self.sweep_enqueued.add(enqueued as u64, &[]);
        self.sweep_overdue.record(overdue.as_secs_f64(), &[]);
        self.poison_queue.record(poison_queue_length as u64, &[]);
    }

    /// A sweep has failed.
    pub fn sweep_failed(&self) {
        self.sweeps.add(1, &[KeyValue::new("outcome", "failure")]);
    }

    /// A wake-up was dropped or not enqueued.
    pub fn wake_up_dropped(&self, reason: &'static str) {
        self.wake_ups_dropped.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// The store has carried out an operation. `error` is the kind of error with which it failed.
    pub fn storage(&self, operation: &'static str, error: Option<&'static str>, duration: Duration) {
        let (operation, seconds) = (KeyValue::new("db.operation.name", operation), duration.as_secs_f64());
        match error {
            None => self.storage_duration.record(seconds, &[operation]),
            Some(error) => self.storage_duration.record(seconds, &[operation, KeyValue::new("error.type", error)]),
        }
    }

    /// A login or a request was refused.
    pub fn auth_failure(&self, reason: &'static str) {
        self.auth_failures.add(1, &[KeyValue::new("error.type", reason)]);
    }
}

fn error_type(error: Option<&'static str>) -> Option<KeyValue> {
    error.map(|error| KeyValue::new("error.type", error))
}
