//! Characters that a person does not see.

/// Characters that do not show, or that change the direction of the text around them. A language model reads them all
/// the same, so text of others could hide instructions in them; in a log they could disguise the text.
///
/// The sources are two files of the Unicode Character Database. `DerivedCoreProperties.txt`: every character with
/// `Default_Ignorable_Code_Point`, except the variation selectors U+FE00 to U+FE0F, which emoji need. `PropList.txt`:
/// every character with `Bidi_Control` (they are among the first). The line and paragraph separators (U+2028, U+2029)
/// and the interlinear annotations (U+FFF9 to U+FFFB) are added.
const INVISIBLE: [(char, char); 16] = [
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian variation selectors and vowel separator
    ('\u{200b}', '\u{200f}'),   // zero width space and joiners, direction marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separator, direction embeddings and overrides
    ('\u{2060}', '\u{206f}'),   // word joiner, invisible operators, direction isolates
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffb}'),   // reserved, interlinear annotations
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors supplement
];

/// Whether a character is a control character, does not show, or changes the direction of text.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The character before or after. None of the ranges touches the surrogates.
    fn beside(character: char, step: i32) -> char {
        char::from_u32(u32::from(character).checked_add_signed(step).unwrap()).unwrap()
    }

    #[test]
    fn every_range_ends_at_its_edges() {
        for (first, last) in INVISIBLE {
            for inside in [first, last] {
                assert!(is_invisible(inside), "{}", inside.escape_unicode());
            }
            // U+00AC, U+034E and so on are ordinary characters.
            for outside in [beside(first, -1), beside(last, 1)] {
                assert!(!is_invisible(outside), "{}", outside.escape_unicode());
            }
        }
    }

    #[test]
    fn the_ranges_are_in_order_and_apart() {
        assert!(INVISIBLE.iter().all(|(first, last)| first <= last));
        assert!(INVISIBLE.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn control_characters_are_invisible_and_letters_and_emoji_are_not() {
        for (first, last) in [('\0', '\u{1f}'), ('\u{7f}', '\u{9f}')] {
            assert!((first..=last).all(is_invisible));
        }
        for shown in [' ', '~', '\u{a0}', 'é', 'ह', '日', '\u{fe0f}', '👩', char::REPLACEMENT_CHARACTER] {
            assert!(!is_invisible(shown), "{shown}");
        }
    }
}
