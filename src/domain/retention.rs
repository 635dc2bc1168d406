//! How long final conversations are kept.

use std::str::FromStr;
use std::time::Duration;

use super::Timestamp;

/// The time for which a conversation is kept after it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    days: u16,
}

/// The text is no number of days in the allowed range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a number of days from {} to {}; it cannot be off, because the store would grow without end",
    Retention::MIN_DAYS,
    Retention::MAX_DAYS
)]
pub struct InvalidRetention;

impl Retention {
    /// The shortest retention. An idempotency key is kept for a day, and its conversation at least as long.
    pub const MIN_DAYS: u16 = 1;
    /// The longest retention.
    pub const MAX_DAYS: u16 = 3650;

    /// The end of the conversations that are removed at this time: all that ended before.
    #[must_use]
    pub fn removes_before(self, now: Timestamp) -> Timestamp {
        now - Duration::from_hours(24 * u64::from(self.days))
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 30 }
    }
}

impl FromStr for Retention {
    type Err = InvalidRetention;

    fn from_str(text: &str) -> Result<Self, InvalidRetention> {
        let days = text.parse().map_err(|_| InvalidRetention)?;
        if (Self::MIN_DAYS..=Self::MAX_DAYS).contains(&days) { Ok(Self { days }) } else { Err(InvalidRetention) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_day_to_ten_years() {
        for (text, days) in [("1", 1), ("30", 30), ("3650", 3650)] {
            assert_eq!(text.parse(), Ok(Retention { days }));
        }
        for wrong in ["0", "3651", "-1", "70000", "1.5", "never", ""] {
            assert_eq!(wrong.parse::<Retention>(), Err(InvalidRetention), "{wrong}");
        }
        assert_eq!(Retention::default(), "30".parse().unwrap());
    }
}
