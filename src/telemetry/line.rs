//! A line while it is put together.

use tracing::Metadata;

use super::format::{Format, Value};
use crate::domain::Timestamp;

/// The names that every line has. A field of another crate with such a name is left out.
const ALWAYS: [&str; 4] = ["time", "level", "message", "target"];

/// The parts of a line. Each thread keeps the memory for its next line.
#[derive(Default)]
pub(super) struct Line {
    message: String,
    fields: String,
    /// The names of the fields. No line has a name twice.
    names: Vec<&'static str>,
    text: String,
}

impl Line {
    pub(super) fn clear(&mut self) {
        self.message.clear();
        self.fields.clear();
        self.names.clear();
        self.text.clear();
    }

    /// Adds a field of the event, or its message.
    pub(super) fn add(&mut self, format: Format, name: &'static str, value: Value<'_>) {
        if let ("message", Value::Text(message)) = (name, &value) {
            format.message(&mut self.message, *message);
        } else if self.begin_field(format, name) {
            format.value(&mut self.fields, value);
        }
    }

    /// Adds a field of a span, unless the event or an inner span has one of that name.
    pub(super) fn inherit(&mut self, format: Format, name: &'static str, value: &str) {
        if self.begin_field(format, name) {
            self.fields.push_str(value);
        }
    }

    fn begin_field(&mut self, format: Format, name: &'static str) -> bool {
        let is_new = !ALWAYS.contains(&name) && !self.names.contains(&name);
        if is_new {
            self.names.push(name);
            format.name(&mut self.fields, name);
        }
        is_new
    }

    pub(super) fn finish(&mut self, format: Format, time: Timestamp, of: &Metadata<'_>) -> &str {
        format.line(&mut self.text, time, of, &self.message, &self.fields);
        &self.text
    }
}
