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
    /// What each response told, the oldest first.
    heard: VecDeque<Bounds>,
    known: Option<Bounds>,
}

/// The least and the most that the server's time minus our own can be, as it was known at a time of our own.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    at: i64,
    least: i64,
    most: i64,
}

impl Bounds {
    /// The same at a later time, when it is less exact.
    fn later(self, at: i64) -> Self {
        Self { at, ..self.widened(drift(at - self.at)) }
    }

    fn widened(self, by: i64) -> Self {
        Self { least: self.least - by, most: self.most + by, ..self }
    }

    /// What both say.
    fn and(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), most: self.most.min(other.most), ..self }
    }

    /// Whether there is such an offset. If not, two responses contradict each other.
    const fn is_possible(self) -> bool {
        self.least <= self.most
    }
}

impl ServerTime {
    /// Older responses say too little: no two clocks run at exactly the same rate.
    const WINDOW: i64 = 120_000;
    /// The greatest difference between the rates of two clocks, in parts per million.
    const DRIFT_PPM: i64 = 200;
    /// A response that took longer, in milliseconds, says nothing. It may be the only one that is known, and the time
    /// that has been reached for certain must not be far behind: a lease would look as if a wrong clock had written it.
    const MAX_ROUND_TRIP: i64 = 20_000;
    /// The number of responses in one second that are kept. Of the others, only those that tell the time better count.
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
        // A part of a millisecond was cut off both times.
        let heard = Bounds { at, least: date - at - 1, most: date + 1000 - millis(sent) };
        let of_this_second = self.heard.iter().rev().take_while(|heard| heard.at > at - 1000).count();
        if of_this_second < Self::PER_SECOND {
            self.heard.push_back(heard);
        } else if !self.narrow(heard) {
            return;
        }
        self.known = Some(self.bounds(at));
    }

    /// Joins a response to the newest one that is kept, if it tells the time better and does not contradict what is known.
    /// Those that come shortly before and after the server's clock shows another second tell it best.
    fn narrow(&mut self, heard: Bounds) -> bool {
        let (Some(known), Some(newest)) = (self.known, self.heard.back_mut()) else { return false };
        let known = known.later(heard.at);
        let heard = heard.widened(drift(heard.at - newest.at));
        let joined = newest.and(heard);
        let is_better = heard.least > known.least || heard.most < known.most;
        let agrees = known.and(heard).is_possible() && joined.is_possible();
        if !(is_better && agrees) {
            return false;
        }
        *newest = joined;
        true
    }

    /// Whether a response has told the time.
    pub(super) const fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The time that the server has reached for certain.
    pub(super) fn earliest(&self, at: Duration) -> Option<i64> {
        let at = millis(at);
        Some(at + self.known?.later(at).least)
    }

    /// The time that the server has not passed for certain.
    pub(super) fn latest(&self, at: Duration) -> Option<i64> {
        let at = millis(at) + 1;
        Some(at + self.known?.later(at).most)
    }

    /// The offsets that the most responses allow (K. Marzullo's algorithm, as in NTP). If no responses contradict each
    /// other, all of them allow these. If some do, the clock of one of the service's machines is wrong, and most are right.
    /// If as many allow other offsets, the bounds go from the first of them to the last.
    fn bounds(&self, at: i64) -> Bounds {
        let all = self.heard.iter().map(|heard| heard.later(at));
        // Where a response begins to allow offsets, and where it ends. At the same offset, `false` is sorted first.
        let mut ends: Vec<_> = all.flat_map(|heard| [(heard.least, false), (heard.most, true)]).collect();
        ends.sort_unstable();
        let (mut allowed_by, mut the_most, mut bounds) = (0, 0, Bounds { at, least: 0, most: 0 });
        for (offset, is_end) in ends {
            if !is_end {
                allowed_by += 1;
                if allowed_by > the_most {
                    (the_most, bounds.least) = (allowed_by, offset);
                }
                continue;
            }
            if allowed_by == the_most {
                bounds.most = offset;
            }
            allowed_by -= 1;
        }
        bounds
    }
}

/// How far two clocks can drift apart in this time, rounded up.
fn drift(age: i64) -> i64 {
    let age = age.max(0);
    if age == 0 { 0 } else { age * ServerTime::DRIFT_PPM / 1_000_000 + 1 }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "server_time_tests.rs"]
mod tests;
