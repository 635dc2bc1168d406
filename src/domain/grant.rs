//! The grant: what a user has allowed a program by one login, and the refresh token that is valid for it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Timestamp;

/// The id of a grant: 128 random bits. The authorization code of the login has it too, so a code makes one grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// An id of random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Display for GrantId {
    /// 32 hex digits in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is not the id of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a grant")]
pub struct InvalidGrantId;

impl FromStr for GrantId {
    type Err = InvalidGrantId;

    fn from_str(text: &str) -> Result<Self, InvalidGrantId> {
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidGrantId)?;
        let id = Self(number.to_be_bytes());
        if id.to_string() == text { Ok(id) } else { Err(InvalidGrantId) }
    }
}

/// The state of a grant. The refresh tokens of a grant are numbered, and only the newest one is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Its newest refresh token can be exchanged.
    Live {
        /// The number of the newest refresh token, from 1.
        number: u32,
        /// The time at which that token was issued.
        since: Timestamp,
    },
    /// It is over: the user's program gave it back, or one of its secrets was used twice.
    Revoked,
}

/// What the number of a refresh token says about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// It is the newest one, so it can be exchanged.
    Newest,
    /// It was exchanged a moment ago. The response may have been lost, so the newest token is issued once more.
    Repeated {
        /// The number of the newest token.
        number: u32,
    },
    /// It was exchanged before. Two parties have it, and one of them may have stolen it.
    Reused,
    /// The grant is over.
    Revoked,
}

impl Grant {
    /// A grant ends if its refresh token is not used for this time.
    pub const MAX_IDLE: Duration = Duration::from_hours(30 * 24);
    /// A grant ends this long after the login.
    pub const MAX_AGE: Duration = Duration::from_hours(90 * 24);
    /// For this time after an exchange, the token that was exchanged is accepted again.
    pub const GRACE: Duration = Duration::from_secs(30);

    /// The grant of a new login.
    #[must_use]
    pub const fn begun(now: Timestamp) -> Self {
        Self::issued(1, now)
    }

    /// The grant after the refresh token with this number was issued.
    #[must_use]
    pub const fn issued(number: u32, now: Timestamp) -> Self {
        Self::Live { number, since: now }
    }

    /// Judges a refresh token of this grant by its number.
    #[must_use]
    pub fn judge(self, presented: u32, now: Timestamp) -> Presented {
        match self {
            Self::Revoked => Presented::Revoked,
            Self::Live { number, .. } if number == presented => Presented::Newest,
            Self::Live { number, since } if presented.checked_add(1) == Some(number) && now < since + Self::GRACE => {
                Presented::Repeated { number }
            }
            Self::Live { .. } => Presented::Reused,
        }
    }

    /// Whether a refresh token that was issued then, for a login at that time, is still in time.
    #[must_use]
    pub fn is_in_time(login: Timestamp, issued: Timestamp, now: Timestamp) -> bool {
        now < issued + Self::MAX_IDLE && now < login + Self::MAX_AGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);
    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn an_id_is_read_back_in_one_form() {
        let id = GrantId::new(std::array::from_fn(|i| u8::try_from(16 * i).unwrap()));
        let text = id.to_string();
        assert_eq!((text.as_str(), text.parse()), ("00102030405060708090a0b0c0d0e0f0", Ok(id)));
        for bad in ["", "0", &text.to_uppercase(), &format!("{text}0"), &text.replace("f0", "+0"), &"é".repeat(16)] {
            assert_eq!(bad.parse::<GrantId>(), Err(InvalidGrantId), "{bad}");
        }
    }

    #[test]
    fn only_the_newest_token_is_exchanged_and_the_one_before_it_for_a_moment() {
        let grant = Grant::issued(7, NOW);
        let last = NOW + Grant::GRACE - MOMENT;
        for (number, now, presented) in [
            (7, NOW, Presented::Newest),
            (7, NOW + Grant::MAX_AGE, Presented::Newest),
            (6, NOW, Presented::Repeated { number: 7 }),
            (6, last, Presented::Repeated { number: 7 }),
            (6, last + MOMENT, Presented::Reused),
            (5, NOW, Presented::Reused),
            (8, NOW, Presented::Reused),
            (u32::MAX, NOW, Presented::Reused),
        ] {
            assert_eq!(grant.judge(number, now), presented, "{number} at {now}");
            assert_eq!(Grant::Revoked.judge(number, now), Presented::Revoked);
        }
    }

    #[test]
    fn a_grant_ends_after_30_idle_days_and_after_90_days() {
        let day = Duration::from_hours(24);
        let age = |days: u32| NOW + day * days;
        for (issued, now, is_in_time) in [
            (NOW, NOW, true),
            (NOW, age(30) - MOMENT, true),
            (NOW, age(30), false),
            (age(80), age(90) - MOMENT, true),
            (age(80), age(90), false),
        ] {
            assert_eq!(Grant::is_in_time(NOW, issued, now), is_in_time, "{issued} at {now}");
        }
    }
}
