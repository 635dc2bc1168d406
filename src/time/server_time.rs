//! The time of a server, known as an interval from the dates of its responses.

use std::collections::VecDeque;
use std::time::Duration;

/// What the responses of a server tell about its time. All times are milliseconds: the server's since 1970, and our own
/// since the machine was started.
///
/// A response with the date `d` was sent between `d` and `d + 1 s`, because a date is in whole seconds. It was sent
/// after its request and before its arrival. So at its arrival the server's time was at least `d`, and when the request
/// was sent it was less than `d + 1 s`.
#[derive(Debug, Default)]
pub(super) struct ServerTime {
    heard: VecDeque<Heard>,
    known: Option<Bounds>,
}

/// One response. The offsets are the server's time minus our own.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: i64,
    least: i64,
    most: i64,
}

/// The offsets of the server's time, as they were known at a time.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    at: i64,
    least: i64,
    most: i64,
}

impl ServerTime {
    /// Older responses say too little: no two clocks run at exactly the same rate.
    const WINDOW: i64 = 120_000;
    /// The greatest difference between the rates of two clocks, in parts per million.
    const DRIFT_PPM: i64 = 200;
    /// A response that took longer, in milliseconds, says nothing. It may be the only one that is known, and the time
    /// that has been reached for certain must not be far behind: a lease would look as if a wrong clock had written it.
    const MAX_ROUND_TRIP: i64 = 20_000;
    /// The number of responses that count in one second. More of them add memory and no knowledge.
    const PER_SECOND: usize = 4;

    /// Learns from the date of a response, by the times at which its request was sent and the response arrived.
    pub(super) fn learn(&mut self, date: i64, sent: Duration, arrived: Duration) {
        let at = millis(arrived);
        if at - millis(sent) > Self::MAX_ROUND_TRIP {
            return;
        }
        while self.heard.front().is_some_and(|oldest| oldest.at < at - Self::WINDOW) {
            self.heard.pop_front();
        }
        let of_this_second = self.heard.iter().rev().take_while(|heard| heard.at > at - 1000).count();
        if of_this_second < Self::PER_SECOND {
            // A part of a millisecond was cut off both times.
            self.heard.push_back(Heard { at, least: date - at - 1, most: date + 1000 - millis(sent) });
            self.known = Some(self.bounds(at));
        }
    }

    /// Whether a response has told the time.
    pub(super) const fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The time that the server has reached for certain.
    pub(super) fn earliest(&self, at: Duration) -> Option<i64> {
        let (at, known) = (millis(at), self.known?);
        Some(at + known.least - drift(at - known.at))
    }

    /// The time that the server has not passed for certain.
    pub(super) fn latest(&self, at: Duration) -> Option<i64> {
        let (at, known) = (millis(at) + 1, self.known?);
        Some(at + known.most + drift(at - known.at))
    }

    fn bounds(&self, at: i64) -> Bounds {
        let mut least: Vec<_> = self.heard.iter().map(|heard| heard.least - drift(at - heard.at)).collect();
        let mut most: Vec<_> = self.heard.iter().map(|heard| heard.most + drift(at - heard.at)).collect();
        let (greatest, smallest) = (least.iter().max().copied(), most.iter().min().copied());
        let (least, most) = match (greatest, smallest) {
            (Some(greatest), Some(smallest)) if greatest <= smallest => (greatest, smallest),
            // The service is many machines, and the clock of one may be wrong: most of them are right.
            _ => {
                let (one, other) = (median(&mut least), median(&mut most));
                (one.min(other), one.max(other))
            }
        };
        Bounds { at, least, most }
    }
}

/// How far two clocks can drift apart in this time, rounded up.
fn drift(age: i64) -> i64 {
    let age = age.max(0);
    if age == 0 { 0 } else { age * ServerTime::DRIFT_PPM / 1_000_000 + 1 }
}

fn median(offsets: &mut [i64]) -> i64 {
    let middle = offsets.len() / 2;
    offsets.sort_unstable();
    offsets.get(middle).copied().unwrap_or_default()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "server_time_tests.rs"]
mod tests;
