//! The names of the metrics and of their attributes: the table in docs/metrics.md.

/// What a metric is called, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The name, by the semantic conventions of OpenTelemetry where these have one.
    pub name: &'static str,
    /// The unit, in the notation of UCUM.
    pub unit: &'static str,
    /// What it says.
    pub description: &'static str,
}

const fn metric(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    Definition { name, unit, description }
}

pub(super) const REQUEST_DURATION: Definition =
    metric("http.server.request.duration", "s", "The duration of requests to this service.");
pub(super) const TOOL_DURATION: Definition =
    metric("mcp.server.operation.duration", "s", "The duration of calls of MCP tools.");
pub(super) const SCHEDULED: Definition =
    metric("scheduler.conversations.scheduled", "{conversation}", "The conversations that were accepted.");
pub(super) const LATENESS: Definition = metric(
    "scheduler.delivery.lateness",
    "s",
    "The time from when an attempt was due to the first byte of its request.",
);
pub(super) const ATTEMPT_DURATION: Definition = metric(
    "scheduler.attempt.duration",
    "s",
    "The duration of attempts, from the first byte to the end of the response.",
);
pub(super) const DELIVERIES: Definition =
    metric("scheduler.deliveries", "{delivery}", "The deliveries that have ended.");
pub(super) const SWEEPS: Definition = metric("scheduler.sweeps", "{sweep}", "The sweeps.");
pub(super) const SWEEP_ENQUEUED: Definition =
    metric("scheduler.sweep.enqueued", "{wake_up}", "The wake-ups that sweeps have enqueued.");
pub(super) const SWEEP_OVERDUE: Definition = metric(
    "scheduler.sweep.overdue",
    "s",
    "The time since the oldest overdue conversation was due, at the last sweep.",
);
pub(super) const POISON_QUEUE: Definition =
    metric("scheduler.poison_queue.length", "{message}", "The messages in the poison queue, at the last sweep.");
pub(super) const WAKE_UPS_DROPPED: Definition =
    metric("scheduler.wake_ups.dropped", "{wake_up}", "The wake-ups that were dropped or not enqueued.");
pub(super) const STORAGE_DURATION: Definition =
    metric("scheduler.storage.operation.duration", "s", "The duration of operations of the store.");
pub(super) const AUTH_FAILURES: Definition =
    metric("scheduler.auth.failures", "{failure}", "The logins and requests that were refused.");

/// All metrics.
pub const DEFINITIONS: [Definition; 13] = [
    REQUEST_DURATION,
    TOOL_DURATION,
    SCHEDULED,
    LATENESS,
    ATTEMPT_DURATION,
    DELIVERIES,
    SWEEPS,
    SWEEP_ENQUEUED,
    SWEEP_OVERDUE,
    POISON_QUEUE,
    WAKE_UPS_DROPPED,
    STORAGE_DURATION,
    AUTH_FAILURES,
];

/// The buckets that the semantic conventions of HTTP name, in seconds.
pub(super) const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// From a millisecond, which is on time, to an hour, in seconds.
pub(super) const LATENESS_BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0];
/// From a read of memory to the longest wait, in seconds.
pub(super) const STORAGE_BUCKETS: [f64; 12] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
