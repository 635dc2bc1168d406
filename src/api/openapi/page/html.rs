//! Text as HTML.

pub(super) use crate::text::escape_html as text;

/// A text in the font of programs.
pub(super) fn code(code: &str) -> String {
    format!("<code>{}</code>", text(code))
}

/// Paragraphs, in which backticks mark code.
pub(super) fn prose(prose: &str) -> String {
    let marked = |paragraph: &str| {
        let parts = text(paragraph);
        let parts = parts.split('`').enumerate();
        parts
            .map(|(i, part)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
            .collect::<String>()
    };
    let paragraphs = prose.split("\n\n").map(|paragraph| format!("<p>{}</p>\n", marked(paragraph)));
    paragraphs.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_tag() {
        assert_eq!(text(r#"<a href="x">&"#), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(code("a<b"), "<code>a&lt;b</code>");
    }

    #[test]
    fn blank_lines_separate_paragraphs_and_backticks_mark_code() {
        assert_eq!(prose("a `b<` c\n\nd"), "<p>a <code>b&lt;</code> c</p>\n<p>d</p>\n");
    }
}
