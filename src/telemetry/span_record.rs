//! A span of OpenTelemetry while its attributes are collected.

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::time::Instant;
use tracing::field::{Field, Visit};

use super::span_layer::SCOPE;

/// The attributes that an event adds to the span that it ends. Other fields of events are only logged.
const OF_EVENTS: [&str; 7] = [
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "error.type",
    "outcome",
    "lateness_ms",
    "conversation.status",
];

/// What is known of a span.
pub(super) struct SpanRecord {
    began: SystemTime,
    /// The same time on the clock that nobody sets, and that is more exact.
    since: Instant,
    attributes: Vec<KeyValue>,
    /// Of a request: the span of its caller. Of a delivery: the span itself, as the endpoint knows it.
    traceparent: Option<SpanContext>,
    /// Of a request: the ids of the span itself.
    ids: (Option<TraceId>, Option<SpanId>),
    /// Of a delivery: the request that scheduled it.
    scheduled: Option<SpanContext>,
}

impl SpanRecord {
    pub(super) fn began(began: SystemTime) -> Self {
        Self {
            began,
            since: Instant::now(),
            attributes: Vec::with_capacity(12),
            traceparent: None,
            ids: (None, None),
            scheduled: None,
        }
    }

    /// Adds the attributes that an event has.
    pub(super) const fn of_event(&mut self) -> EventVisitor<'_> {
        EventVisitor(self)
    }

    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|attribute| attribute.key.as_str() == name) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(KeyValue::new(name, value)),
        }
    }

    fn set_text(&mut self, name: &'static str, text: Cow<'_, str>) {
        match name {
            "traceparent" => self.traceparent = context(&text),
            "schedule.traceparent" => self.scheduled = context(&text),
            "trace_id" => self.ids.0 = TraceId::from_hex(&text).ok(),
            "span_id" => self.ids.1 = SpanId::from_hex(&text).ok(),
            _ => self.set(name, text.into_owned()),
        }
    }

    fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| &attribute.value)
    }

    /// The span, unless it is a delivery without an attempt, or its caller does not want it to be traced.
    pub(super) fn finish(self, name: &str) -> Option<SpanData> {
        let (method, route) = (self.attribute("http.request.method"), self.attribute("http.route"));
        let method = method.map_or(Cow::Borrowed("HTTP"), Value::as_str);
        let (span_context, parent_span_id, name, span_kind) = match (name, &self.traceparent) {
            ("request", parent) => {
                let (trace, span) = (self.ids.0?, self.ids.1?);
                let flags = parent.as_ref().map_or(TraceFlags::SAMPLED, SpanContext::trace_flags);
                let own = SpanContext::new(trace, span, flags, false, TraceState::default());
                let name = route.map_or_else(|| method.to_string(), |route| format!("{method} {}", route.as_str()));
                let kind = match self.attribute("messaging.system") {
                    Some(_) => SpanKind::Consumer,
                    None => SpanKind::Server,
                };
                (own, parent.as_ref().map_or(SpanId::INVALID, SpanContext::span_id), name, kind)
            }
            ("delivery", Some(own)) => (own.clone(), SpanId::INVALID, method.to_string(), SpanKind::Client),
            _ => return None,
        };
        let status = self.status(&span_kind);
        let mut links = SpanLinks::default();
        links.links.extend(self.scheduled.clone().map(Link::with_context));
        span_context.is_sampled().then(|| SpanData {
            span_context,
            parent_span_is_remote: parent_span_id != SpanId::INVALID,
            parent_span_id,
            span_kind,
            name: name.into(),
            start_time: self.began,
            end_time: self.began + self.since.elapsed(),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status,
            instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
        })
    }

    /// The semantic conventions of HTTP: a status below 500 is no error of the server, but it is one of a client.
    fn status(&self, kind: &SpanKind) -> Status {
        let status = self.attribute("http.response.status_code");
        let is_error = match (kind, status) {
            (SpanKind::Server | SpanKind::Consumer, Some(Value::I64(status))) => *status >= 500,
            (SpanKind::Server | SpanKind::Consumer, _) => true,
            _ => self.attribute("error.type").is_some(),
        };
        if is_error { Status::error("") } else { Status::Unset }
    }
}

impl Visit for SpanRecord {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set_text(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// Reads the attributes of an event.
pub(super) struct EventVisitor<'a>(&'a mut SpanRecord);

impl EventVisitor<'_> {
    fn add(&mut self, field: &Field, add: impl FnOnce(&mut SpanRecord)) {
        if OF_EVENTS.contains(&field.name()) {
            add(self.0);
        }
    }
}

impl Visit for EventVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, |record| record.record_debug(field, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, |record| record.record_str(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, |record| record.record_i64(field, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |record| record.record_u64(field, value));
    }
}

/// The span that a `traceparent` names. Those that are recorded have the form of W3C Trace Context.
fn context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}
