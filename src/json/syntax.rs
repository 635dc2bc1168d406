//! What is wrong with a text that is not JSON, in the words of somebody who writes JSON and not of a parser.

use serde::de::IgnoredAny;

/// The defect, as a clause that follows "it". It repeats nothing of the text but punctuation, because the text may
/// contain a secret.
#[must_use]
pub fn defect(json: &[u8], error: &serde_json::Error) -> String {
    let text = match std::str::from_utf8(json) {
        Ok(text) => text,
        Err(error) => return format!("is not UTF-8 at byte {}", error.valid_up_to() + 1),
    };
    if error.is_eof() {
        return "ends before the object is complete: a closing quote, bracket or brace is missing".to_owned();
    }
    let offset = match offset(json, error) {
        near if is_control_character(error) => control_character(json, near),
        offset => offset,
    };
    let before = text.get(..offset).unwrap_or_default();
    let (line, column) =
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    format!("{} (line {line}, column {column})", defect_at(text, before, text.get(offset..).unwrap_or_default()))
}

/// The position of an error, in bytes. It is moved to the beginning of its character.
fn offset(json: &[u8], error: &serde_json::Error) -> usize {
    let lines = json.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let line_start: usize = lines.map(<[u8]>::len).sum();
    let mut offset = (line_start + error.column().saturating_sub(1)).min(json.len());
    while offset > 0 && json.get(offset).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {
        offset -= 1;
    }
    offset
}

/// The parser's message is the only sign of this error.
fn is_control_character(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("control character")
}

/// The position of the control character at, before or after the position of an error.
fn control_character(json: &[u8], near: usize) -> usize {
    let is_control = |at: &usize| json.get(*at).is_some_and(u8::is_ascii_control);
    [near, near.saturating_sub(1), near + 1].into_iter().find(is_control).unwrap_or(near)
}

fn defect_at(text: &str, before: &str, rest: &str) -> &'static str {
    let earlier = before.trim_end();
    let (next, last) = (rest.chars().next().unwrap_or_default(), earlier.chars().next_back().unwrap_or_default());
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    match next {
        _ if is_after_the_end(text) => "goes on after the end of the object",
        '\'' => "has a single quote where JSON has a double quote",
        '\u{2018}'..='\u{201f}' => "has a typographic quote where JSON has a plain double quote",
        '}' | ']' if last == ',' => "has a comma after the last member",
        '/' | '#' => "has a comment, which JSON does not allow",
        _ if last == '\\' => "has a backslash before a character that JSON does not escape; write \\\\ for a backslash",
        c if c.is_control() => "has a control character; inside a string write it as an escape such as \\n",
        _ if !text.trim_start().starts_with('{') => "does not begin with {",
        _ if matches!(&*word, "None" | "True" | "False" | "undefined" | "NaN" | "Infinity") => {
            "has a word that is not JSON; the words of JSON are true, false and null"
        }
        '"' if last != ':' => "has no comma between two members",
        '"' => "has a colon where JSON has a value",
        c if c.is_ascii_alphabetic() && matches!(last, '{' | ',') => "has a name without double quotes",
        ',' if last == ',' => "has a comma too many",
        ',' | '}' if last == ':' => "has a colon without a value",
        ',' | '}' if last == '"' => "has a name without a colon and a value",
        '+' | '.' | '0'..='9' | 'x' | 'X' => "has a number in a form that JSON does not have",
        _ if last == '.' || (last == '-') => "has a number in a form that JSON does not have",
        _ if last.is_ascii_alphabetic() => "has a word that is not JSON; the words of JSON are true, false and null",
        _ => "is not JSON at this place",
    }
}

/// Whether the text begins with a whole value, so that the error stands after it.
fn is_after_the_end(text: &str) -> bool {
    serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().next().is_some_and(|first| first.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(text: impl AsRef<[u8]>) -> String {
        let (_, result) = crate::json::members::read(text.as_ref());
        defect(text.as_ref(), &result.unwrap_err())
    }

    #[test]
    fn each_defect_is_named_with_its_place() {
        for (text, expected) in [
            ("{'a':1}", "has a single quote where JSON has a double quote (line 1, column 2)"),
            ("{\"a\":'b'}", "has a single quote where JSON has a double quote (line 1, column 6)"),
            ("{“a”:1}", "has a typographic quote where JSON has a plain double quote (line 1, column 2)"),
            ("{\"é\":“b”}", "has a typographic quote where JSON has a plain double quote (line 1, column 6)"),
            ("{\n  \"a\": 1,\n}", "has a comma after the last member (line 3, column 1)"),
            ("{\"a\":[1,]}", "has a comma after the last member (line 1, column 9)"),
            ("{\"a\":1 // b\n}", "has a comment, which JSON does not allow (line 1, column 8)"),
            (
                "{\"a\":\"\\x41\"}",
                "has a backslash before a character that JSON does not escape; write \\\\ for a backslash (line 1, column 8)",
            ),
            (
                "{\"a\":None}",
                "has a word that is not JSON; the words of JSON are true, false and null (line 1, column 6)",
            ),
            (
                "{\"a\":tru}",
                "has a word that is not JSON; the words of JSON are true, false and null (line 1, column 9)",
            ),
            ("{\"a\":1 \"b\":2}", "has no comma between two members (line 1, column 8)"),
            ("{a:1}", "has a name without double quotes (line 1, column 2)"),
            ("{\"a\":1,b:1}", "has a name without double quotes (line 1, column 8)"),
            ("{\"a\":1,,\"b\":1}", "has a comma too many (line 1, column 8)"),
            ("{\"a\":,\"b\":1}", "has a colon without a value (line 1, column 6)"),
            ("{\"a\"}", "has a name without a colon and a value (line 1, column 5)"),
            ("{\"a\":030}", "has a number in a form that JSON does not have (line 1, column 7)"),
            ("{\"a\":30.}", "has a number in a form that JSON does not have (line 1, column 9)"),
            ("{\"a\":+30}", "has a number in a form that JSON does not have (line 1, column 6)"),
            ("{\"a\":0x1e}", "has a number in a form that JSON does not have (line 1, column 7)"),
            ("{\"a\":-b}", "has a number in a form that JSON does not have (line 1, column 7)"),
            ("url=x&text=hello", "does not begin with { (line 1, column 1)"),
            ("<xml/>", "does not begin with { (line 1, column 1)"),
            ("{}{}", "goes on after the end of the object (line 1, column 3)"),
            ("{},", "goes on after the end of the object (line 1, column 3)"),
            ("{", "ends before the object is complete: a closing quote, bracket or brace is missing"),
            ("{\"a\":\"b", "ends before the object is complete: a closing quote, bracket or brace is missing"),
        ] {
            assert_eq!(explain(text), expected, "{text}");
        }
        assert_eq!(explain(b"{\"a\":\"\xe9\"}"), "is not UTF-8 at byte 7");
        let control = "has a control character; inside a string write it as an escape such as \\n (line 1, column";
        for (text, column) in
            [("{\"a\":\"x\ny\"}", 8), ("{\"a\":\"12\ty\"}", 9), ("{\"a\":\"\n\"}", 7), ("{\"a\nb\":1}", 4)]
        {
            assert_eq!(explain(text), format!("{control} {column})"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]:,'\"\\\\a1é\n ]{0,12}") {
            let (_, result) = crate::json::members::read(text.as_bytes());
            if let Err(error) = result {
                let _ = defect(text.as_bytes(), &error);
            }
        }
    }
}
