//! The deliveries that have arrived, the last ones of them.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::domain::{ClientId, Timestamp};
use crate::sync::lock;

/// A delivery that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The time by the clock that can be turned.
    pub at: Timestamp,
    /// The client whose conversation it is: its keys have signed it.
    pub client: ClientId,
    /// The method of the request.
    pub method: &'static str,
    /// The path of the request.
    pub path: String,
    /// The headers of the request. A value that is not text is left out.
    pub headers: Map<String, Value>,
    /// The body. Bytes that are no text are replaced.
    pub body: String,
}

/// Keeps the last arrivals, in the order in which they arrived.
#[derive(Default)]
pub struct Arrivals(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    arrivals: VecDeque<Arrival>,
    bytes: usize,
    received: u64,
}

/// What an inbox has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The number of deliveries that have arrived since the inbox was emptied.
    pub received: u64,
    /// The last ones of them, the first one first.
    pub arrivals: Vec<Arrival>,
}

impl Arrivals {
    /// The most arrivals that are kept.
    pub const MAX_ARRIVALS: usize = 1000;
    /// The most bytes of arrivals that are kept. The last arrival is always kept.
    pub const MAX_BYTES: usize = 32 * 1024 * 1024;

    /// Keeps an arrival, and forgets the oldest ones if there is no room.
    pub fn add(&self, arrival: Arrival) {
        let mut kept = lock(&self.0);
        kept.received += 1;
        kept.bytes += arrival.bytes();
        kept.arrivals.push_back(arrival);
        while kept.arrivals.len() > 1 && (kept.arrivals.len() > Self::MAX_ARRIVALS || kept.bytes > Self::MAX_BYTES) {
            let oldest = kept.arrivals.pop_front();
            kept.bytes -= oldest.map_or(0, |oldest| oldest.bytes());
        }
    }

    /// What there is.
    #[must_use]
    pub fn list(&self) -> Listed {
        let kept = lock(&self.0);
        Listed { received: kept.received, arrivals: kept.arrivals.iter().cloned().collect() }
    }

    /// Forgets all arrivals.
    pub fn empty(&self) {
        *lock(&self.0) = Kept::default();
    }
}

impl Arrival {
    /// The named headers of a request.
    #[must_use]
    pub fn texts(headers: &HeaderMap) -> Map<String, Value> {
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned().into()))
        };
        headers.iter().filter_map(text).collect()
    }

    /// The value of a header; empty without it.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The text of the conversation: it is in the body, or it is the body.
    #[must_use]
    pub fn text(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let found = body.get("conversationText").or_else(|| body.get("data")?.get("conversationText"));
        found.and_then(Value::as_str).unwrap_or(&self.body).to_owned()
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
        self.path.len() + self.body.len() + headers.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(body: impl Into<String>) -> Arrival {
        Arrival {
            at: Timestamp::from_millis(1_893_499_200_000),
            client: "anna".parse().unwrap(),
            method: "POST",
            path: "/dev/inbox".to_owned(),
            headers: Map::new(),
            body: body.into(),
        }
    }

    #[test]
    fn the_last_arrivals_are_kept_and_all_are_counted() {
        let inbox = Arrivals::default();
        for number in 0..=Arrivals::MAX_ARRIVALS {
            inbox.add(arrival(number.to_string()));
        }
        let listed = inbox.list();
        let ends = [listed.arrivals.first(), listed.arrivals.last()].map(|arrival| arrival.unwrap().body.clone());
        assert_eq!((listed.received, listed.arrivals.len()), (1001, 1000));
        assert_eq!(ends, ["1", "1000"]);
        inbox.empty();
        assert_eq!(inbox.list(), Listed { received: 0, arrivals: vec![] });
    }

    #[test]
    fn large_arrivals_are_fewer_and_the_last_one_is_kept_whatever_its_size() {
        let inbox = Arrivals::default();
        for _ in 0..40 {
            inbox.add(arrival("x".repeat(1024 * 1024)));
        }
        assert_eq!(inbox.list().arrivals.len(), 31, "the paths take a few bytes, too");
        inbox.add(arrival("x".repeat(Arrivals::MAX_BYTES + 1)));
        assert_eq!(inbox.list().arrivals.len(), 1);
        inbox.add(arrival("small"));
        assert_eq!(inbox.list().arrivals, [arrival("small")]);
    }

    #[test]
    fn the_text_is_found_in_each_format() {
        for (body, text) in [
            (r#"{"conversationText":"Hello"}"#, "Hello"),
            (r#"{"specversion":"1.0","data":{"conversationText":"Hello"}}"#, "Hello"),
            ("Hello", "Hello"),
            (r#"{"text":"Hello"}"#, r#"{"text":"Hello"}"#),
            ("", ""),
        ] {
            assert_eq!(arrival(body).text(), text);
        }
    }
}
