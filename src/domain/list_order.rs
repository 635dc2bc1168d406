//! The order of a list.

use super::words::words;

/// The time by which a list is ordered, as clients name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// The conversation that was scheduled last comes first.
    Created,
    /// The conversation that is due first comes first.
    Due,
    /// The conversation that ended last comes first.
    Ended,
}

impl ListOrder {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Created, Self::Due, Self::Ended];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Due => "due",
            Self::Ended => "ended",
        }
    }
}

words!(ListOrder);
