//! The signatures that the deliveries of a client carry.

/// The kinds of signature of Standard Webhooks that the deliveries of a client carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// `v1` alone, for receivers that have the client's secret. It costs less time: a `v1a` takes about 40 µs.
    V1,
    /// `v1` and then `v1a`, which a receiver verifies with a public key.
    #[default]
    V1AndV1a,
}

impl Signatures {
    /// All choices.
    pub const ALL: [Self; 2] = [Self::V1, Self::V1AndV1a];

    /// The names of the signatures, in their order in the header.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::V1 => &["v1"],
            Self::V1AndV1a => &["v1", "v1a"],
        }
    }

    /// The choice with these names, in any order.
    #[must_use]
    pub fn named(names: &[&str]) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| {
            choice.names().len() == names.len() && choice.names().iter().all(|name| names.contains(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_v1_and_each_name_once() {
        assert_eq!(Signatures::named(&["v1"]), Some(Signatures::V1));
        for names in [["v1", "v1a"], ["v1a", "v1"]] {
            assert_eq!(Signatures::named(&names), Some(Signatures::V1AndV1a));
        }
        for names in [&[][..], &["v1a"], &["v1", "v1"], &["v1", "v2"], &["v1", "v1a", "v1"]] {
            assert_eq!(Signatures::named(names), None, "{names:?}");
        }
    }
}
