//! The beginning of a conversation's text.

/// The beginning of a text. A list shows it, so that a person or a model knows a conversation again without its whole
/// text, which a list does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextExcerpt(Box<str>);

impl TextExcerpt {
    /// The longest excerpt, in characters.
    pub const MAX: usize = 80;

    /// The excerpt of this text. It ends with `…` if the text goes on.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut starts = text.char_indices().map(|(at, _)| at);
        let last = starts.nth(Self::MAX - 1).filter(|_| starts.next().is_some());
        match last.and_then(|at| text.split_at_checked(at)) {
            Some((start, _)) => Self(format!("{start}…").into()),
            None => Self(text.into()),
        }
    }

    /// Restores an excerpt from a stored row.
    #[must_use]
    pub fn from_stored(excerpt: &str) -> Self {
        Self(excerpt.into())
    }

    /// The excerpt as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_room_is_its_own_excerpt() {
        for text in ["", "Remind Anna.", &"x".repeat(80), &"日".repeat(80)] {
            assert_eq!(TextExcerpt::of(text).as_str(), text);
        }
    }

    #[test]
    fn a_longer_text_is_cut_between_characters_and_says_so() {
        for character in ["x", "é", "日", "😀"] {
            let excerpt = TextExcerpt::of(&character.repeat(81));
            assert_eq!(excerpt.as_str(), format!("{}…", character.repeat(79)));
        }
    }
}
