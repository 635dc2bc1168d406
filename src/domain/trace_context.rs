//! A place in a distributed trace.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

/// A place in a distributed trace: the value of the header `traceparent` of W3C Trace Context, version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: NonZeroU128,
    span: NonZeroU64,
    flags: u8,
}

/// A text that is not a `traceparent` of version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a traceparent of version 00")]
pub struct InvalidTraceContext;

impl TraceContext {
    /// The flag that asks for the trace to be recorded.
    const SAMPLED: u8 = 1;

    /// A span of a trace that is recorded.
    #[must_use]
    pub const fn sampled(trace: NonZeroU128, span: NonZeroU64) -> Self {
        Self { trace, span, flags: Self::SAMPLED }
    }

    /// The id of the trace: 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        let trace = self.trace;
        fmt::from_fn(move |f| write!(f, "{trace:032x}"))
    }

    /// The id of the span: 16 hex digits.
    #[must_use]
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        let span = self.span;
        fmt::from_fn(move |f| write!(f, "{span:016x}"))
    }

    /// Another span of the same trace.
    #[must_use]
    pub const fn with_span(self, span: NonZeroU64) -> Self {
        Self { span, ..self }
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex =
            |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let mut hex = |length| parts.next().filter(|part| is_hex(part, length)).ok_or(InvalidTraceContext);
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let context = Self {
            trace: u128::from_str_radix(trace, 16).ok().and_then(NonZeroU128::new).ok_or(InvalidTraceContext)?,
            span: u64::from_str_radix(span, 16).ok().and_then(NonZeroU64::new).ok_or(InvalidTraceContext)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceContext)?,
        };
        if version == "00" && parts.next().is_none() { Ok(context) } else { Err(InvalidTraceContext) }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_of_the_standards_form_is_read() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(good.parse::<TraceContext>().unwrap().to_string(), good);
        for bad in [
            "",
            "canary",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-011",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceContext), "{bad}");
        }
    }
}
