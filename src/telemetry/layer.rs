//! Writes the events of the program as lines.

use std::cell::Cell;
use std::io::Write as _;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::format::{Format, Value, Visitor};
use super::line::Line;
use crate::time::Clock;

/// Writes each event as one line, with the fields of the spans around it.
pub(super) struct LogLayer<C, W> {
    format: Format,
    clock: C,
    writer: W,
}

/// The fields of a span: their names, and their values as the lines have them.
#[derive(Default)]
struct SpanFields(Vec<(&'static str, String)>);

impl SpanFields {
    fn set(&mut self, format: Format, name: &'static str, value: Value<'_>) {
        // Most values fit: growing in steps would cost as much as the rest.
        let mut text = String::with_capacity(64);
        format.value(&mut text, value);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = text,
            None => self.0.push((name, text)),
        }
    }
}

thread_local! {
    static LINE: Cell<Line> = Cell::default();
}

impl<C, W> LogLayer<C, W> {
    pub(super) const fn new(format: Format, clock: C, writer: W) -> Self {
        Self { format, clock, writer }
    }
}

impl<S, C, W> Layer<S> for LogLayer<C, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = SpanFields::default();
        attributes.record(&mut Visitor(|name, value: Value<'_>| fields.set(self.format, name, value)));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(&mut Visitor(|name, value: Value<'_>| fields.set(self.format, name, value)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // A value that logs while it is formatted, or a thread that ends, finds none and makes a new one.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        event.record(&mut Visitor(|name, value: Value<'_>| line.add(self.format, name, value)));
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                for (name, value) in fields {
                    line.inherit(self.format, name, value);
                }
            }
        }
        let text = line.finish(self.format, self.clock.now(), event.metadata());
        // The service goes on if its log cannot be written.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes());
        let _ = LINE.try_with(|kept| kept.set(line));
    }
}
