//! Makes a span of OpenTelemetry of each request and each delivery that is over.

use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor as _};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::span_record::SpanRecord;
use crate::domain::Timestamp;
use crate::time::Clock;

/// The name under which this program counts, measures and traces.
pub(super) const SCOPE: &str = "mcp-scheduler";

/// Takes spans that are over. It keeps up to 2,048 of them, and drops the others while they cannot be sent.
pub(super) static SPANS: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// Collects the attributes of spans, and hands them on when they are over.
pub(super) struct SpanLayer<C> {
    clock: C,
}

impl<C: Clock> SpanLayer<C> {
    pub(super) const fn new(clock: C) -> Self {
        Self { clock }
    }

    /// The spans of this program, and the events that add attributes to them.
    pub(super) fn filter() -> FilterFn {
        const OWN: &str = env!("CARGO_CRATE_NAME");
        let is_own: fn(&Metadata<'_>) -> bool =
            |metadata| metadata.target().starts_with(OWN) && *metadata.level() <= Level::INFO;
        FilterFn::new(is_own).with_max_level_hint(Level::INFO)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Timestamp::MIN.until(self.clock.now())
    }
}

impl<S, C> Layer<S> for SpanLayer<C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let (Some(span), Some(_)) = (context.span(id), SPANS.get()) {
            let mut record = SpanRecord::began(self.now());
            attributes.record(&mut record);
            span.extensions_mut().insert(record);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(record) = span.extensions_mut().get_mut::<SpanRecord>() {
            values.record(record);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        if let Some(record) = span.extensions_mut().get_mut::<SpanRecord>() {
            event.record(&mut record.of_event());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let record = span.extensions_mut().remove::<SpanRecord>();
        let finished = record.and_then(|record| record.finish(span.name()));
        if let (Some(finished), Some(spans)) = (finished, SPANS.get()) {
            spans.on_end(finished);
        }
    }
}
