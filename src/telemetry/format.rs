//! The two forms of a line.

use std::fmt::{Arguments, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use super::escaped::Escaped;
use crate::domain::Timestamp;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON object, with all fields at the top.
    Json,
    /// For people who watch a terminal.
    Human { colour: bool },
}

/// The value of a field.
pub(super) enum Value<'a> {
    Text(Arguments<'a>),
    /// A number or a truth value, which JSON has without quotation marks.
    Bare(Arguments<'a>),
}

/// Calls a function with each field of an event or a span.
pub(super) struct Visitor<F>(pub(super) F);

impl<F: FnMut(&'static str, Value<'_>)> Visit for Visitor<F> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0(field.name(), Value::Text(format_args!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0(field.name(), Value::Text(format_args!("{value}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0(field.name(), Value::Bare(format_args!("{value}")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0(field.name(), Value::Bare(format_args!("{value}")));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0(field.name(), Value::Bare(format_args!("{value}")));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.0(field.name(), Value::Bare(format_args!("{value}")));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.0(field.name(), Value::Bare(format_args!("{value}")));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        let text = format_args!("{value}");
        self.0(field.name(), if value.is_finite() { Value::Bare(text) } else { Value::Text(text) });
    }
}

impl Format {
    const RESET: &str = "\u{1b}[0m";
    const DIM: &str = "\u{1b}[2m";

    /// Appends a value.
    pub(super) fn value(self, to: &mut String, value: Value<'_>) {
        // Writing to a `String` cannot fail. A value that cannot be formatted is cut off.
        let _ = match (self, value) {
            (_, Value::Bare(text)) => to.write_fmt(text),
            (Self::Json, Value::Text(text)) => {
                to.push('"');
                let written = Escaped { to, quoted: true }.write_fmt(text);
                to.push('"');
                written
            }
            (Self::Human { .. }, Value::Text(text)) => {
                let start = to.len();
                let written = Escaped { to, quoted: true }.write_fmt(text);
                if to.get(start..).is_none_or(|text| text.is_empty() || text.contains([' ', '=', '\\'])) {
                    to.insert(start, '"');
                    to.push('"');
                }
                written
            }
        };
    }

    /// Appends the message.
    pub(super) fn message(self, to: &mut String, message: Arguments<'_>) {
        let _ = Escaped { to, quoted: self == Self::Json }.write_fmt(message);
    }

    /// Appends the name of a field, with what separates it from its value and from the field before it.
    pub(super) fn name(self, to: &mut String, name: &str) {
        match self {
            Self::Json => to.extend([",\"", name, "\":"]),
            Self::Human { colour: false } => to.extend([" ", name, "="]),
            Self::Human { colour: true } => to.extend([" ", Self::DIM, name, "=", Self::RESET]),
        }
    }

    /// Appends a whole line.
    pub(super) fn line(self, to: &mut String, time: Timestamp, of: &Metadata<'_>, message: &str, fields: &str) {
        let (level, target, time) = (of.level(), of.target(), time.to_string());
        match self {
            Self::Json => to.extend([
                "{\"time\":\"",
                &time,
                "\",\"level\":\"",
                level.as_str(),
                "\",\"message\":\"",
                message,
                "\"",
                fields,
                ",\"target\":\"",
                target,
                "\"}\n",
            ]),
            Self::Human { colour } => {
                let paint = |code| if colour { code } else { "" };
                let (dim, reset) = (paint(Self::DIM), paint(Self::RESET));
                to.extend([dim, time.get(11..23).unwrap_or(&time), reset, " "]);
                to.extend([paint(colour_of(*level)), level.as_str(), reset]);
                // The messages stand in one column.
                to.extend([if level.as_str().len() < 5 { "  " } else { " " }, message, fields]);
                if !target.starts_with(env!("CARGO_CRATE_NAME")) {
                    self.name(to, "target");
                    to.push_str(target);
                }
                to.push('\n');
            }
        }
    }
}

const fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}
