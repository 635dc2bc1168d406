//! The units of wake-ups: a second, and a set of partitions.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Partition;
use super::rows;
use crate::domain::Timestamp;

/// A second of the calendar. A wake-up names the due rows of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(i64);

impl Slot {
    const SECOND: Duration = Duration::from_secs(1);

    /// The second that contains this time.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_secs())
    }

    /// The first millisecond of the second.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(1000))
    }

    /// The first millisecond after the second.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.start() + Self::SECOND
    }
}

impl fmt::Display for Slot {
    /// RFC 3339 in UTC, without a fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        let end = text.find('.').unwrap_or(text.len());
        write!(f, "{}Z", text.get(..end).unwrap_or_default())
    }
}

/// The text is not a second in the form of [`Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a second such as 2030-01-31T08:30:00Z")]
pub struct InvalidSlot;

impl FromStr for Slot {
    type Err = InvalidSlot;

    fn from_str(text: &str) -> Result<Self, InvalidSlot> {
        let slot = Self::of(Timestamp::parse(text).map_err(|_| InvalidSlot)?);
        if slot.to_string() == text { Ok(slot) } else { Err(InvalidSlot) }
    }
}

/// A set of the partitions that contain conversations. Its text has the hex digit of each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionSet(u16);

impl PartitionSet {
    /// All partitions.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether no partition is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a partition is in the set.
    #[must_use]
    pub fn contains(self, partition: Partition) -> bool {
        self.0 & bit(partition) != 0
    }

    /// The partitions of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The partitions that are not in the set.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(!self.0)
    }

    /// The partitions of the set, in their order.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        rows::partitions().filter(move |partition| self.contains(*partition))
    }
}

impl From<Partition> for PartitionSet {
    fn from(partition: Partition) -> Self {
        Self(bit(partition))
    }
}

impl FromIterator<Partition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        partitions.into_iter().fold(Self::default(), |set, partition| set.union(partition.into()))
    }
}

/// The bit of a partition. Zero for one without conversations.
fn bit(partition: Partition) -> u16 {
    rows::partitions().position(|other| other == partition).map_or(0, |index| 1 << index)
}

impl fmt::Display for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|partition| f.write_str(partition.as_str()))
    }
}

impl fmt::Debug for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionSet({self})")
    }
}

/// The text is not a set of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a set of partitions such as 05af")]
pub struct InvalidPartitionSet;

impl FromStr for PartitionSet {
    type Err = InvalidPartitionSet;

    fn from_str(text: &str) -> Result<Self, InvalidPartitionSet> {
        let named = |digit: char| {
            let name = digit.encode_utf8(&mut [0; 4]).to_owned();
            rows::partitions().find(|partition| partition.as_str() == name)
        };
        let set: Self = text.chars().map(named).collect::<Option<_>>().ok_or(InvalidPartitionSet)?;
        if set.to_string() == text { Ok(set) } else { Err(InvalidPartitionSet) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> PartitionSet {
        text.parse().unwrap()
    }

    #[test]
    fn a_slot_is_a_whole_second() {
        let slot: Slot = "2030-01-31T08:30:07Z".parse().unwrap();
        assert_eq!(Slot::of(slot.start()), slot);
        assert_eq!(Slot::of(slot.start() + Duration::from_millis(999)), slot);
        assert_eq!(Slot::of(slot.end()), "2030-01-31T08:30:08Z".parse().unwrap());
        for wrong in ["", "2030-01-31T08:30:07.000Z", "2030-01-31T08:30Z", "2030-01-31T09:30:07+01:00", "07"] {
            assert_eq!(wrong.parse::<Slot>(), Err(InvalidSlot), "{wrong}");
        }
    }

    #[test]
    fn a_set_has_one_text() {
        for text in ["", "0", "05af", "0123456789abcdef"] {
            assert_eq!(set(text).to_string(), text);
        }
        assert_eq!(set("0123456789abcdef"), PartitionSet::ALL);
        for wrong in ["50", "00", "A", "g", "0 5", "0,5", "ü"] {
            assert_eq!(wrong.parse::<PartitionSet>(), Err(InvalidPartitionSet), "{wrong}");
        }
    }

    #[test]
    fn sets_are_joined_and_complemented() {
        assert_eq!(set("05").union(set("5f")), set("05f"));
        assert_eq!(set("05").complement(), set("12346789abcdef"));
        assert!(PartitionSet::ALL.complement().is_empty() && !set("0").is_empty());
        let five = rows::partitions().nth(5).unwrap();
        assert!(set("5").contains(five) && !set("05").complement().contains(five));
        assert_eq!(PartitionSet::from(five), set("5"));
        assert!(PartitionSet::from(Partition::new("elsewhere")).is_empty());
    }
}
