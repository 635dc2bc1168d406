//! A place in an export.

use std::fmt;

use crate::store::{ConversationStore, Partition, is_key};

/// A place in an export: a part of the store, and the key in it that was exported last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    part: usize,
    behind: Option<String>,
}

/// A part of the store. Keys follow the conversations of their partition, so that an import finds these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Clients,
    Conversations(Partition),
    Keys(Partition),
}

impl Position {
    /// Reads a position that an earlier page has returned. An operator may read every row, so it has no signature, but what
    /// is in it must be a key: the store does not escape keys.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (part, behind) = text.split_once('.').map_or((text, None), |(part, behind)| (part, Some(behind)));
        let position = Self { part: part.parse().ok()?, behind: behind.map(str::to_owned) };
        let is_valid = position.part().is_some() && behind.is_none_or(is_key) && position.to_string() == text;
        is_valid.then_some(position)
    }

    /// The part of the store. `None` at the end of the export.
    pub(super) fn part(&self) -> Option<Part> {
        let of_partition = |partition| [Part::Conversations(partition), Part::Keys(partition)];
        let parts = ConversationStore::partitions().flat_map(of_partition);
        std::iter::once(Part::Clients).chain(parts).nth(self.part)
    }

    pub(super) fn behind(&self) -> Option<&str> {
        self.behind.as_deref()
    }

    /// The place behind a key in this part, or the beginning of the next part.
    pub(super) fn next(self, last: Option<String>) -> Self {
        match last {
            Some(last) => Self { behind: Some(last), ..self },
            None => Self { part: self.part + 1, behind: None },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.behind {
            Some(behind) => write!(f, "{}.{behind}", self.part),
            None => self.part.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_anything_else_is_not() {
        let mut position = Position::default();
        let mut parts = 0;
        while position.part().is_some() {
            let behind = position.clone().next(Some("m~a.b~01".to_owned()));
            for position in [&position, &behind] {
                assert_eq!(Position::read(&position.to_string()).as_ref(), Some(position));
            }
            position = behind.next(None);
            parts += 1;
        }
        assert_eq!((parts, position.to_string().as_str()), (33, "33"));
        for text in ["", "33", "-1", "01", "+1", "1.", "1.a b", "1.a'", "1.a/b", "x", "1.ä"] {
            assert_eq!(Position::read(text), None, "{text}");
        }
    }
}
