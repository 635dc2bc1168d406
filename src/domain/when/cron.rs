//! Cron expressions, and the instants at which they fire in a time zone.
//!
//! The crate `croner` finds the next matching wall time. This module says at which instant a wall time is, because `croner`
//! takes only an expression with one minute and one hour for a fixed time, and loses an occurrence in some gaps.

use std::fmt;
use std::iter;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::NaiveDateTime;
use quick_cache::sync::Cache;

use super::cron_text::CronText;
use super::{InvalidCron, Reading, Zone};
use crate::domain::Timestamp;

/// A cron expression of OCPS, with five fields or with six, or a nickname such as `@daily`.
///
/// It names times of a wall clock, at least a minute apart.
#[derive(Clone)]
pub struct Cron(Arc<Parsed>);

/// The expressions that were used last. Each delivery of an occurrence reads its expression from the row, and to parse it
/// was a fifteenth of the instructions of the delivery. `croner` keeps a byte for each year up to 5000, so a parsed
/// expression has about 5 KB.
static PARSED: LazyLock<Cache<String, Cron>> = LazyLock::new(|| Cache::new(256));

struct Parsed {
    text: String,
    schedule: croner::Cron,
    second: Duration,
    is_interval: bool,
    most_per_day: u32,
}

impl Cron {
    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The most times at which the expression fires on one day of 24 hours.
    #[must_use]
    pub fn most_per_day(&self) -> u32 {
        self.0.most_per_day
    }

    /// The first instant after this one at which the expression fires, by the clocks of the zone. `None` if there is none
    /// up to the year 2099.
    ///
    /// With `*` or a step in the minute or the hour, it fires at each instant whose wall time matches: none in a gap, and
    /// both in a fold. Otherwise each matching wall time is one occurrence: one in a gap is at the end of the gap, and one
    /// in a fold is the first.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp, zone: Zone) -> Option<Timestamp> {
        if self.0.is_interval { self.next_of_interval(instant, zone) } else { self.next_fixed(instant, zone) }
    }

    fn next_fixed(&self, instant: Timestamp, zone: Zone) -> Option<Timestamp> {
        // An occurrence that a gap moved is up to a minute after the end of the gap, and its wall time is before the end.
        let from = zone.at(instant - Duration::from_mins(1)).wall();
        let once = |wall| match zone.read(wall)? {
            Reading::Once(at) | Reading::Fold { first: at, .. } => Some(at),
            // The second is kept, so that occurrences stay a minute apart.
            Reading::Gap(_) => zone.gap_end(wall).map(|end| end + self.0.second),
        };
        self.walls_after(from).filter_map(once).find(|at| *at > instant)
    }

    fn next_of_interval(&self, instant: Timestamp, zone: Zone) -> Option<Timestamp> {
        let wall = zone.at(instant).wall();
        let at = |wall| match zone.read(wall)? {
            Reading::Once(at) => Some(at),
            Reading::Gap(_) => None,
            Reading::Fold { first, second } => Some(if first > instant { first } else { second }),
        };
        let next = self.walls_after(wall).filter_map(at).find(|at| *at > instant);
        // In the first half of a fold, earlier wall times come again.
        let again = match zone.read(wall)? {
            Reading::Fold { first, second } if first == instant => {
                let mut walls = self.walls_after(wall - first.until(second)).take_while(|earlier| *earlier <= wall);
                let second = |earlier| match zone.read(earlier)? {
                    Reading::Fold { second, .. } => Some(second),
                    Reading::Once(_) | Reading::Gap(_) => None,
                };
                walls.find_map(second)
            }
            _ => None,
        };
        next.into_iter().chain(again).min()
    }

    /// The matching wall times after this one, up to the year 2099. They are at least a minute apart.
    fn walls_after(&self, wall: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let next = |wall: &NaiveDateTime| self.0.schedule.find_next_occurrence(wall, false).ok();
        iter::successors(next(&wall), next)
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        PARSED.get_or_insert_with(text, || Ok(Self(Arc::new(Parsed::parse(text)?))))
    }
}

impl Parsed {
    fn parse(text: &str) -> Result<Self, InvalidCron> {
        let CronText { fields, second, is_interval, most_per_day } = CronText::parse(text)?;
        // The fields have been checked, so croner accepts them; a test tries all their forms.
        let schedule = fields.parse().map_err(|_| InvalidCron::Character)?;
        let second = Duration::from_secs(second.into());
        Ok(Self { text: text.to_owned(), schedule, second, is_interval, most_per_day })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.0.text).finish()
    }
}

/// Two expressions are the same if they are written in the same way.
impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Cron {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_parsed_once() {
        let [read, again, other]: [Cron; 3] =
            ["7 9 * * MON", "7 9 * * MON", "8 9 * * MON"].map(|text| text.parse().unwrap());
        assert!(Arc::ptr_eq(&read.0, &again.0) && !Arc::ptr_eq(&read.0, &other.0));
    }
}
