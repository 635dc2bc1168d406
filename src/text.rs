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

/// The text with the characters escaped that HTML gives a meaning.
pub(crate) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Whether a character is a control character, does not show, or changes the direction of text.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// The beginning of a text, with the characters that a person does not see written as escapes, such as `\u{200b}`.
/// Returns at most `max` bytes, and whether the text is longer.
///
/// Line ends and tabs stay. So do the characters that join or vary the one before them, which Persian, Hindi and emoji
/// need. They stay only where they have that effect: a row of them shows nothing and can carry a message.
pub(crate) fn escape_invisible(text: &str, max: usize) -> (String, bool) {
    let mut escaped = String::with_capacity(text.len().min(max));
    let mut previous = None;
    for c in text.chars() {
        let before = escaped.len();
        let shown = match c {
            '\n' | '\t' => true,
            _ if is_variation_selector(c) => previous.is_some_and(is_visible),
            _ if is_joiner(c) => previous.is_some_and(|p| is_visible(p) || is_variation_selector(p)),
            _ => !is_invisible(c),
        };
        if shown {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_unicode());
        }
        if escaped.len() > max {
            escaped.truncate(before);
            return (escaped, true);
        }
        previous = Some(c);
    }
    (escaped, false)
}

/// The zero width non-joiner and joiner.
const fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

const fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}')
}

fn is_visible(character: char) -> bool {
    !is_invisible(character) && !is_variation_selector(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn invisible_characters_are_escaped_and_all_others_are_kept() {
        for (text, shown) in [
            (
                "plain \"text\"\n\twith ünïcode, हिन्दी, می\u{200c}خواهم, 👩\u{200d}💻, ❤\u{fe0f}\u{200d}🔥 and \\ in it",
                "plain \"text\"\n\twith ünïcode, हिन्दी, می\u{200c}خواهم, 👩\u{200d}💻, ❤\u{fe0f}\u{200d}🔥 and \\ in it",
            ),
            ("\u{1b}[2J\r\0", r"\u{1b}[2J\u{d}\u{0}"),
            ("a\u{202e}b\u{200b}c\u{feff}", r"a\u{202e}b\u{200b}c\u{feff}"),
            ("\u{e0041}\u{e0100}", r"\u{e0041}\u{e0100}"),
            ("\u{200d}a\u{200c}\u{200d}\u{200c}b", "\\u{200d}a\u{200c}\\u{200d}\\u{200c}b"),
            ("😀\u{fe0f}\u{fe01}\u{fe02}", "😀\u{fe0f}\\u{fe01}\\u{fe02}"),
            ("\n\u{fe0f}a", "\n\\u{fe0f}a"),
        ] {
            assert_eq!(escape_invisible(text, usize::MAX), (shown.to_owned(), false));
        }
    }

    #[test]
    fn an_escape_or_a_character_is_kept_whole_or_not_at_all() {
        for (text, max, shown, longer) in [
            ("abc", 3, "abc", false),
            ("abcd", 3, "abc", true),
            ("aü", 2, "a", true),
            ("a\u{200b}", 9, r"a\u{200b}", false),
            ("a\u{200b}", 8, "a", true),
        ] {
            assert_eq!(escape_invisible(text, max), (shown.to_owned(), longer), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_limited_and_hides_nothing(text in prop::collection::vec(any::<char>(), 0..300)) {
            let text: String = text.into_iter().collect();
            let (shown, longer) = escape_invisible(&text, 500);
            prop_assert!(shown.len() <= 500);
            let hidden = |c| is_invisible(c) && !is_joiner(c) && !matches!(c, '\n' | '\t');
            prop_assert!(!shown.chars().any(hidden));
            prop_assert!(longer || shown.len() >= text.len());
        }
    }
}
