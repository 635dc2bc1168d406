//! The field `body` of a schedule request.

use super::ErrorDetail;
use super::field_errors::FieldErrors;
use super::value::kind;
use crate::domain::{BodyTemplate, Format, Method};
use crate::json::RawJson;
use crate::template::{self, MAX_RENDERED, TemplateError, TemplateValues};

/// The largest template, in bytes of JSON text.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Checks the caller's body with the other fields that it depends on: the text and the additional info, which replace
/// placeholders, and the method and the format. `None` stands for a field with an error.
///
/// The body is rendered once with the longest values, so that no delivery can fail on it.
pub(super) fn check(
    body: Option<RawJson>,
    (text, info): (Option<&str>, Option<&RawJson>),
    (method, format): (Option<Method>, Option<Format>),
    errors: &mut FieldErrors,
) -> Option<BodyTemplate> {
    let body = body?;
    errors.check("/body", check_kind(&body).and_then(|()| body.check_within(MAX_BODY)))?;
    if let Some(method) = method.filter(|method| !method.has_content()) {
        errors.add("/body", format!("is not sent with {method}; use POST, PUT or PATCH"));
    }
    if let Some(format) = format.filter(|format| *format != Format::Json) {
        errors.add("/body", format!("is sent instead of the body of the format {format}; leave one of them out"));
    }
    if info.is_some_and(|info| info.check().is_err()) {
        // Its error is told already, and no value can be taken from it.
        return None;
    }
    let values = TemplateValues::longest(text.unwrap_or_default(), info.map(RawJson::as_str));
    match template::render(body.as_str(), &values, MAX_RENDERED) {
        Ok(rendered) => Some(BodyTemplate { json: body.into_text(), rendered_bytes: rendered.len() }),
        Err(wrong) => {
            let detail = |TemplateError { pointer, detail }| ErrorDetail { pointer: format!("/body{pointer}"), detail };
            errors.0.extend(wrong.into_iter().map(detail));
            None
        }
    }
}

/// A language model may write the body as a string that contains the JSON. Sent as it is, no endpoint could read it.
fn check_kind(body: &RawJson) -> Result<(), String> {
    let json = body.as_str();
    match json.bytes().next() {
        Some(b'{' | b'[') => Ok(()),
        Some(b'"') => {
            let text: String = serde_json::from_str(json).unwrap_or_default();
            match serde_json::from_str::<RawJson>(&text) {
                Ok(inner) if inner.as_str().starts_with(['{', '[']) => {
                    Err(format!("is a string that contains JSON; write {} itself", kind(inner.as_str())))
                }
                _ => Ok(()),
            }
        }
        _ => Err(format!("must be an object, an array or a string, not {}", kind(json))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: (Option<Method>, Option<Format>) = (Some(Method::Post), Some(Format::Json));

    fn checked(
        body: &str,
        info: Option<&str>,
        request: (Option<Method>, Option<Format>),
    ) -> Result<BodyTemplate, Vec<(String, String)>> {
        let json = |text: &str| serde_json::from_str::<RawJson>(text).unwrap();
        let (info, mut errors) = (info.map(json), FieldErrors::default());
        let checked = check(Some(json(body)), (Some("hi"), info.as_ref()), request, &mut errors);
        let errors: Vec<_> = errors.0.into_iter().map(|error| (error.pointer, error.detail)).collect();
        checked.filter(|_| errors.is_empty()).ok_or(errors)
    }

    #[test]
    fn an_object_an_array_and_a_string_are_accepted_as_they_were_written() {
        for (body, bytes) in [
            (r#"{ "b": 1.0, "a": "{{conversationText}}" }"#, r#"{ "b": 1.0, "a": "hi" }"#.len()),
            (r#"["{{occurrence}}"]"#, r#"["4294967295"]"#.len()),
            (r#""{{conversationText}} {""#, r#""hi {""#.len()),
            (r#""7""#, 3),
        ] {
            let template = checked(body, None, OK).unwrap();
            assert_eq!((&*template.json, template.rendered_bytes), (body, bytes));
        }
    }

    #[test]
    fn the_error_says_what_to_correct_and_where() {
        let large = format!("[\"{}\"]", "x".repeat(MAX_BODY));
        for (body, pointer, detail) in [
            ("7", "/body", "must be an object, an array or a string, not a number"),
            (r#""{\"text\":1}""#, "/body", "is a string that contains JSON; write an object itself"),
            (r#""[1]""#, "/body", "is a string that contains JSON; write an array itself"),
            (r#"{"a":{"b":1,"b":2}}"#, "/body", "has the key \"b\" twice in one object"),
            (&large, "/body", "has 65540 bytes of JSON; at most 65536 bytes are accepted"),
            (r#"{"a":["{{x}}"]}"#, "/body/a/0", "has the unknown placeholder {{x}}; the placeholders are"),
            (r#"{"a":"{{additionalInfo.b}}"}"#, "/body/a", "has {{additionalInfo.b}}, but the additionalInfo has no"),
        ] {
            let errors = checked(body, Some(r#"{"a":1}"#), OK).unwrap_err();
            assert!(errors.len() == 1 && errors[0].0 == pointer && errors[0].1.starts_with(detail), "{errors:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_sent_is_an_error() {
        let error = |method, format| checked("{}", None, (Some(method), Some(format))).unwrap_err().remove(0);
        for method in [Method::Get, Method::Delete] {
            let (pointer, detail) = error(method, Format::Json);
            assert_eq!((&*pointer, detail), ("/body", format!("is not sent with {method}; use POST, PUT or PATCH")));
        }
        let (pointer, detail) = error(Method::Put, Format::Text);
        assert_eq!(pointer, "/body");
        assert_eq!(detail, "is sent instead of the body of the format text; leave one of them out");
        // Each of the other fields has an error of its own.
        assert!(checked("{}", None, (None, None)).is_ok());
        assert_eq!(checked(r#""{{additionalInfo.a}}""#, Some(r#"{"a":1,"a":2}"#), OK), Err(Vec::new()));
    }
}
