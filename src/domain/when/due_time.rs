//! The instant at which something is due, and how it was read.

use std::fmt;

use chrono::NaiveDateTime;

use super::{Delay, LocalTime, Zone};
use crate::domain::Timestamp;

/// The instant that the fields of a request mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTime {
    instant: Timestamp,
    zone: Option<ZoneRecord>,
    notes: Vec<Note>,
}

/// The zone that a caller named, as it is kept with the conversation. With it, a later release of the IANA database can
/// find the conversations whose wall time it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRecord {
    /// The name in the IANA database.
    pub name: String,
    /// The release of the IANA database by which the time was read, such as `2025b`.
    pub database: String,
    /// The wall time as it was written; `None` if the caller wrote a time in UTC or a delay.
    pub wall: Option<String>,
}

/// How a time was read, if the caller could have meant another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The time has neither an offset nor a zone.
    ReadAsUtc,
    /// The recurrence has no zone.
    RecursInUtc,
    /// The clocks of the zone skip the wall time.
    Gap {
        /// The wall time as it was written.
        wall: NaiveDateTime,
        /// The time that it was read as.
        read_as: LocalTime,
    },
    /// The clocks of the zone show the wall time twice.
    Fold {
        /// The wall time as it was written.
        wall: NaiveDateTime,
        /// The time that it was read as.
        first: LocalTime,
        /// The other time.
        second: LocalTime,
    },
}

impl DueTime {
    pub(super) const fn new(instant: Timestamp, zone: Option<ZoneRecord>) -> Self {
        Self { instant, zone, notes: Vec::new() }
    }

    /// An instant that needed no reading.
    #[must_use]
    pub const fn at(instant: Timestamp) -> Self {
        Self::new(instant, None)
    }

    pub(super) fn after(now: Timestamp, delay: Delay, zone: Option<Zone>) -> Self {
        Self::new(now + delay.duration(), zone.map(|zone| ZoneRecord::new(zone, None)))
    }

    pub(super) fn with(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// The same, due now if the instant is over.
    pub(super) fn not_before(self, now: Timestamp) -> Self {
        Self { instant: self.instant.max(now), ..self }
    }

    /// The first occurrence of a conversation that recurs from this time on, by the clocks of the zone that the caller
    /// named.
    pub(super) fn first_occurrence(mut self, first: Timestamp, zone: Option<Zone>) -> Self {
        if zone.is_none() {
            self.notes.push(Note::RecursInUtc);
        }
        Self { instant: first, zone: zone.map(|zone| ZoneRecord::new(zone, None)), notes: self.notes }
    }

    /// A later occurrence.
    #[must_use]
    pub fn later_occurrence(&self, at: Timestamp) -> Self {
        Self { instant: at, zone: self.zone.clone(), notes: Vec::new() }
    }

    /// The instant.
    #[must_use]
    pub const fn instant(&self) -> Timestamp {
        self.instant
    }

    /// The zone that the caller named.
    #[must_use]
    pub const fn zone(&self) -> Option<&ZoneRecord> {
        self.zone.as_ref()
    }

    /// How the time was read, if the caller could have meant another one.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

impl ZoneRecord {
    pub(super) fn new(zone: Zone, wall: Option<NaiveDateTime>) -> Self {
        let wall = wall.map(|wall| wall.format(WALL).to_string());
        Self { name: zone.name().to_owned(), database: Zone::DATABASE.to_owned(), wall }
    }

    /// An instant as the clocks of the zone show it. `None` if this program's database does not have the zone.
    #[must_use]
    pub fn local(&self, instant: Timestamp) -> Option<LocalTime> {
        self.name.parse::<Zone>().ok().map(|zone| zone.at(instant))
    }
}

/// A wall time, with a fraction only if it has one.
const WALL: &str = "%Y-%m-%dT%H:%M:%S%.f";

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadAsUtc => {
                f.write_str("scheduledTime has no UTC offset and no time zone was given, so it was read as UTC.")
            }
            Self::RecursInUtc => f.write_str(
                "No time zone was given, so the recurrence follows UTC and does not move when the clocks change.",
            ),
            Self::Gap { wall, read_as } => write!(
                f,
                "{} does not exist in {}, because the clocks go forward over it. It was read as {read_as}.",
                wall.format(WALL),
                read_as.zone().name()
            ),
            Self::Fold { wall, first, second } => write!(
                f,
                "{} happens twice in {}, because the clocks go back. It was read as the first, {first}; the second is \
                 {second}.",
                wall.format(WALL),
                first.zone().name()
            ),
        }
    }
}
