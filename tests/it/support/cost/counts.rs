//! What is counted.

use std::ops::{AddAssign, Index, Sub};

/// What a storage account or a function app bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message is put into the queue.
    Put,
    /// The host receives a message. One call receives several, and each is counted, so this is an upper bound.
    Get,
    /// The host deletes a message.
    Delete,
    /// The length of the poison queue is read.
    Length,
    /// The host asks the queue for messages, and there are none.
    Poll,
    /// One row of a table is read.
    Read,
    /// A page of up to 1,000 rows is read.
    Scan,
    /// An entity group transaction of the process that schedules.
    ScheduleCommit,
    /// An entity group transaction of another process.
    Commit,
    /// A call of a client.
    Call,
    /// An invocation for a message.
    Invocation,
    /// An invocation for the dead man's switch.
    Switch,
    /// An invocation of the timer.
    Sweep,
    /// A millisecond in which the instance of the HTTP functions is billed.
    HttpMillisecond,
    /// A millisecond in which an instance of the queue function is billed.
    QueueMillisecond,
    /// A millisecond in which the instance of the timer is billed.
    TimerMillisecond,
}

impl Kind {
    /// The operations on the queue that depend on what there is to do.
    pub const QUEUE: &[Self] = &[Self::Put, Self::Get, Self::Delete];
    pub const COMMITS: &[Self] = &[Self::ScheduleCommit, Self::Commit];
    pub const TABLES: &[Self] = &[Self::Read, Self::Scan, Self::ScheduleCommit, Self::Commit];
}

/// How many there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; 16]);

impl Counts {
    pub fn add(&mut self, kind: Kind, number: u64) {
        self.0[kind as usize] += number;
    }

    pub fn clear(&mut self, kind: Kind) {
        self.0[kind as usize] = 0;
    }

    pub fn sum(&self, kinds: &[Kind]) -> u64 {
        kinds.iter().map(|kind| self[*kind]).sum()
    }

    pub fn times(self, factor: u64) -> Self {
        Self(self.0.map(|number| number * factor))
    }
}

impl Index<Kind> for Counts {
    type Output = u64;

    fn index(&self, kind: Kind) -> &u64 {
        &self.0[kind as usize]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (number, more) in self.0.iter_mut().zip(other.0) {
            *number += more;
        }
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let mut difference = self;
        for (number, less) in difference.0.iter_mut().zip(other.0) {
            *number = number.checked_sub(less).unwrap();
        }
        difference
    }
}
