//! What the budgets of a client count.

use std::collections::BTreeMap;
use std::fmt;

use super::{Conversation, ThreadId, Timestamp};

/// A day by UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

/// The conversations of a client or of a thread, as budgets count them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Conversations that have not ended.
    pub live: usize,
    /// Those of them that recur.
    pub recurrences: usize,
    /// The deliveries of those that recur. They count on every day with the most that one has on a day.
    every_day: usize,
    /// The deliveries of the others, by the day on which each is due or has ended.
    days: BTreeMap<Day, usize>,
}

/// The same of a whole client, and of each of its threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientUsage {
    /// All conversations of the client.
    pub whole: Usage,
    /// Those that belong to a thread.
    pub threads: BTreeMap<ThreadId, Usage>,
}

impl Day {
    const MILLIS: i64 = 24 * 60 * 60 * 1000;

    /// The day that has this instant.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(Self::MILLIS))
    }

    /// Its first instant.
    #[must_use]
    pub const fn begin(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(Self::MILLIS))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = self.begin().to_string();
        f.write_str(begin.split_once('T').map_or(&*begin, |(day, _)| day))
    }
}

impl Usage {
    /// Counts a conversation that has not ended. What is overdue is delivered today. `per_day` is the most deliveries that it
    /// has on a day, if it recurs.
    pub fn add_live(&mut self, due: Timestamp, per_day: Option<u32>, today: Day) {
        self.live += 1;
        match per_day {
            Some(per_day) => {
                self.recurrences += 1;
                self.every_day += usize::try_from(per_day).unwrap_or(usize::MAX);
            }
            None => *self.days.entry(Day::of(due).max(today)).or_default() += 1,
        }
    }

    /// Counts a delivery that has ended today.
    pub fn add_ended(&mut self, today: Day) {
        *self.days.entry(today).or_default() += 1;
    }

    /// The days on which this needs deliveries: each with those that there are already, and those that it needs. What is
    /// needed on every day is compared with the day that has the most, or with none if no day has any.
    pub(super) fn deliveries(&self, used: &Self) -> impl Iterator<Item = (Option<Day>, usize, usize)> {
        let busiest = used.days.iter().max_by_key(|(_, count)| **count).map(|(day, _)| *day);
        let every_day = (self.every_day > 0).then_some((busiest, used.on(busiest), self.every_day));
        let days = self.days.iter().map(|(day, needed)| (Some(*day), used.on(Some(*day)), self.every_day + needed));
        every_day.into_iter().chain(days)
    }

    fn on(&self, day: Option<Day>) -> usize {
        self.every_day + day.and_then(|day| self.days.get(&day)).copied().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        self.live += other.live;
        self.recurrences += other.recurrences;
        self.every_day += other.every_day;
        for (day, count) in &other.days {
            *self.days.entry(*day).or_default() += count;
        }
    }

    fn subtract(&mut self, other: &Self) {
        self.live = self.live.saturating_sub(other.live);
        self.recurrences = self.recurrences.saturating_sub(other.recurrences);
        self.every_day = self.every_day.saturating_sub(other.every_day);
        for (day, count) in &other.days {
            if let Some(own) = self.days.get_mut(day) {
                *own = own.saturating_sub(*count);
            }
        }
        self.days.retain(|_, count| *count > 0);
    }
}

impl ClientUsage {
    /// What a conversation counts for. One that has ended counts for nothing here: its delivery is over.
    #[must_use]
    pub fn of(conversation: &Conversation, today: Day) -> Self {
        let mut usage = Self::default();
        if !conversation.status().is_final() {
            let per_day = conversation.series().map(|series| series.recurrence.most_per_day());
            usage.add_live(conversation.thread_id(), conversation.due(), per_day, today);
        }
        usage
    }

    /// See [`Usage::add_live`].
    pub fn add_live(&mut self, thread: Option<&ThreadId>, due: Timestamp, per_day: Option<u32>, today: Day) {
        for usage in self.both(thread) {
            usage.add_live(due, per_day, today);
        }
    }

    /// See [`Usage::add_ended`].
    pub fn add_ended(&mut self, thread: Option<&ThreadId>, today: Day) {
        for usage in self.both(thread) {
            usage.add_ended(today);
        }
    }

    /// Adds the other one.
    pub fn add(&mut self, other: &Self) {
        self.whole.add(&other.whole);
        for (thread, usage) in &other.threads {
            self.threads.entry(thread.clone()).or_default().add(usage);
        }
    }

    /// Takes the other one away, at most to nothing.
    pub fn subtract(&mut self, other: &Self) {
        self.whole.subtract(&other.whole);
        for (thread, usage) in &other.threads {
            if let Some(own) = self.threads.get_mut(thread) {
                own.subtract(usage);
            }
        }
        self.threads.retain(|_, usage| *usage != Usage::default());
    }

    /// The numbers that it has, for a bound on its memory.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.whole.days.len() + self.threads.values().map(|usage| 1 + usage.days.len()).sum::<usize>()
    }

    fn both(&mut self, thread: Option<&ThreadId>) -> impl Iterator<Item = &mut Usage> {
        let of_thread = thread.map(|thread| self.threads.entry(thread.clone()).or_default());
        std::iter::once(&mut self.whole).chain(of_thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);
    const DAY: i64 = Day::MILLIS;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + days * DAY)
    }

    #[test]
    fn a_day_begins_at_midnight_by_utc() {
        let day = Day::of(NOW);
        assert_eq!(
            (day.to_string(), day.begin().to_string()),
            ("2030-01-01".into(), "2030-01-01T00:00:00.000Z".into())
        );
        assert_eq!(Day::of(Timestamp::from_millis(day.begin().as_millis() - 1)).to_string(), "2029-12-31");
    }

    #[test]
    fn what_is_overdue_counts_today_and_what_is_added_can_be_taken_away() {
        let (today, thread) = (Day::of(NOW), "t-1".parse().unwrap());
        let mut usage = ClientUsage::default();
        usage.add_live(Some(&thread), at(-3), None, today);
        usage.add_ended(None, today);
        usage.add_live(None, at(2), None, today);
        let deliveries = |usage: &Usage| usage.days.clone().into_iter().collect::<Vec<_>>();
        assert_eq!(deliveries(&usage.whole), [(today, 2), (Day::of(at(2)), 1)]);
        assert_eq!(deliveries(&usage.threads[&thread]), [(today, 1)]);
        assert_eq!((usage.whole.live, usage.numbers()), (2, 4));
        let mut twice = usage.clone();
        twice.add(&usage);
        assert_ne!(twice, usage);
        twice.subtract(&usage);
        assert_eq!(twice, usage);
        twice.subtract(&usage);
        twice.subtract(&usage);
        assert_eq!(twice, ClientUsage::default(), "at most to nothing, and nothing is left of it");
    }
}
