//! The caller's body: a JSON value in whose strings placeholders stand for the parts of a conversation.
//!
//! Only strings that are values are changed, so the result is always valid JSON. Everything else is copied as it was
//! written: the order of members, the numbers, the white space, and strings without two opening braces. What replaces a
//! placeholder is not read again, so braces in a text mean nothing.

mod string_values;
mod values;

pub use values::TemplateValues;

use std::borrow::Cow;

use string_values::StringValues;

/// The most placeholders in one template. Each of them may read the whole additional info.
const MAX_PLACEHOLDERS: usize = 100;

/// An error in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The JSON pointer (RFC 6901) to the string with the error, from the root of the template.
    pub pointer: String,
    /// The rest of a sentence that begins with the pointer.
    pub detail: String,
}

/// The largest bodies that are made of templates, in bytes.
pub const MAX_RENDERED: usize = 1024 * 1024;

/// Replaces the placeholders of a template, which is JSON. Writes at most `max` bytes.
///
/// # Errors
/// One [`TemplateError`] for each placeholder without a value, or one for a result that is too large.
pub fn render(template: &str, values: &TemplateValues<'_>, max: usize) -> Result<String, Vec<TemplateError>> {
    let (mut rendered, mut copied, mut errors) = (String::with_capacity(template.len()), 0, Vec::new());
    let mut strings = StringValues::of(template);
    let mut placeholders = 0;
    while let Some(range) = strings.next() {
        let string = template.get(range.clone()).unwrap_or_default();
        let text: String = serde_json::from_str(string).unwrap_or_default();
        if !text.contains("{{") {
            continue;
        }
        let room = max.saturating_sub(rendered.len());
        let replaced = replace(&text, room, |name| {
            placeholders += 1;
            if placeholders > MAX_PLACEHOLDERS {
                return Err(format!("is after the first {MAX_PLACEHOLDERS} placeholders; use fewer"));
            }
            values.get(name)
        });
        match replaced {
            Ok(text) => {
                rendered.push_str(template.get(copied..range.start).unwrap_or_default());
                // This cannot fail: it writes a string to a string.
                rendered.push_str(&serde_json::to_string(&text).unwrap_or_default());
                copied = range.end;
            }
            Err(detail) => errors.push(TemplateError { pointer: strings.pointer(), detail }),
        }
        if rendered.len() > max || placeholders > MAX_PLACEHOLDERS {
            break;
        }
    }
    rendered.push_str(template.get(copied..).unwrap_or_default());
    if errors.is_empty() && rendered.len() > max {
        let detail = format!("would have more than {max} bytes with all placeholders replaced");
        errors.push(TemplateError { pointer: String::new(), detail });
    }
    if errors.is_empty() { Ok(rendered) } else { Err(errors) }
}

/// Replaces the placeholders of one string. A result that is longer than `max` ends early: it does not fit anyway.
fn replace<'v>(
    text: &str,
    max: usize,
    mut value: impl FnMut(&str) -> Result<Cow<'v, str>, String>,
) -> Result<String, String> {
    let (mut replaced, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        replaced.push_str(before);
        if let Some(after) = after.strip_prefix("{{") {
            replaced.push_str("{{");
            rest = after;
        } else {
            let (name, after) =
                after.split_once("}}").ok_or("has {{ without }} after it; write {{{{ for two braces of your own")?;
            replaced.push_str(&value(name.trim())?);
            rest = after;
        }
        if replaced.len() > max {
            break;
        }
    }
    replaced.push_str(rest);
    Ok(replaced)
}

#[cfg(test)]
mod tests;
