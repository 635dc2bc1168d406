//! Reads the JSON objects and query strings of callers field by field. Every error is kept, so that one response names
//! all of them.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;
use strsim::osa_distance;
use url::form_urlencoded;

use super::ErrorDetail;
use super::value::{HALF_CHARACTER, Value, kind};
use crate::domain::LimitChange;
use crate::json::RawJson;
use crate::json::items;
use crate::json::members::{self, Member};

/// A request, or an object inside a request, that is read field by field. Every field is optional: whether one is
/// required is a rule that a later step checks.
pub(crate) trait FromObject: Sized {
    /// The fields, each with the names that callers write instead of it, in lower case and without separators.
    const SYNONYMS: Synonyms = &[];

    /// Reads all fields.
    fn from_object(object: &mut ObjectReader<'_>) -> Self;
}

/// Fields, and the names that callers write instead of them.
pub(crate) type Synonyms = &'static [Synonym];

/// A field and the names that callers write instead of it.
type Synonym = (&'static str, &'static [&'static str]);

/// An object that is being read, and the errors so far.
pub(crate) struct ObjectReader<'a> {
    pointer: String,
    members: Vec<(String, Value<'a>)>,
    fields: Vec<&'static str>,
    /// Those of the requests that are parts of this one.
    synonyms: Vec<Synonyms>,
    errors: Vec<ErrorDetail>,
}

impl<'a> ObjectReader<'a> {
    /// An object with these members.
    pub(super) fn new(members: Vec<Member<'a>>) -> Self {
        Self::at(String::new(), members)
    }

    /// The parameters of a query string.
    pub(super) fn from_query(query: &'a str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let members = pairs.map(|(name, value)| (name.into_owned(), Value::Parameter(value.into_owned()))).collect();
        Self { members, ..Self::at(String::new(), Vec::new()) }
    }

    fn at(pointer: String, members: Vec<Member<'a>>) -> Self {
        let value = |json: Option<&'a RawValue>| json.map_or(Value::Absent, |json| Value::Json(json.get()));
        let members = members.into_iter().map(|member| (member.name, value(member.value))).collect();
        Self { pointer, members, fields: Vec::new(), synonyms: Vec::new(), errors: Vec::new() }
    }

    /// A request whose fields are in this object too, beside others.
    pub(crate) fn part<T: FromObject>(&mut self) -> T {
        self.synonyms.push(T::SYNONYMS);
        T::from_object(self)
    }

    /// A field whose value is a string.
    pub(crate) fn string(&mut self, field: &'static str) -> Option<String> {
        self.read(field, Value::into_string)
    }

    /// A field whose value is a string. A number is kept as its text, because a step that knows the field's meaning
    /// says more about it.
    pub(crate) fn string_or_number(&mut self, field: &'static str) -> Option<String> {
        self.read(field, Value::into_string_or_number)
    }

    /// A field that has a value, whatever it is. A value that is no string is kept as it was written, so that a step
    /// that knows the field's meaning finds the field given and its value wrong.
    pub(crate) fn text(&mut self, field: &'static str) -> Option<String> {
        self.take(field).map(Value::into_text)
    }

    /// A field whose value is a whole number in a range.
    pub(crate) fn whole_number(&mut self, field: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        self.read(field, |value| value.into_whole_number(&range))
    }

    /// The same, also if the number is written as a string, which some models do.
    pub(crate) fn whole_number_or_text(&mut self, field: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        self.read(field, |value| value.into_query_value().into_whole_number(&range))
    }

    /// A field whose value is a whole number, or `null` for none.
    pub(crate) fn limit(&mut self, field: &'static str, range: RangeInclusive<u32>) -> LimitChange {
        let is_null = |value: &Value<'_>| matches!(value, Value::Json("null"));
        if self.members.iter().any(|(name, value)| name == field && is_null(value)) {
            self.fields.push(field);
            return LimitChange::Remove;
        }
        self.whole_number(field, range).map_or(LimitChange::Keep, LimitChange::Set)
    }

    /// A field whose value is true or false.
    pub(crate) fn boolean(&mut self, field: &'static str) -> Option<bool> {
        self.read(field, Value::into_boolean)
    }

    /// A field with any JSON, as it was written.
    pub(crate) fn json(&mut self, field: &'static str) -> Option<RawJson> {
        self.read(field, Value::into_json)
    }

    /// A field whose value is an object with fields of its own. The example shows one.
    pub(crate) fn object<T: FromObject>(&mut self, field: &'static str, example: &str) -> Option<T> {
        let mut object = self.inner(field, example)?;
        let value = T::from_object(&mut object);
        self.errors.extend(object.finish(T::SYNONYMS));
        Some(value)
    }

    /// A field whose value is an object of strings by names of the caller. The order and repeated names stay. The
    /// example shows one.
    pub(crate) fn strings(&mut self, field: &'static str, example: &str) -> Option<Vec<(String, String)>> {
        let inner = self.inner(field, example)?;
        let mut strings = Vec::with_capacity(inner.members.len());
        for (name, value) in inner.members {
            match value.into_string() {
                Ok(value) => strings.push((name, value)),
                Err(detail) => self.errors.push(ErrorDetail { pointer: pointer_to(&inner.pointer, &name), detail }),
            }
        }
        Some(strings)
    }

    /// A field whose value is an array of 1 to `most` items, each read from its JSON. The example shows one.
    pub(crate) fn items<T>(
        &mut self,
        field: &'static str,
        example: &str,
        most: usize,
        read: impl Fn(&'a str) -> T,
    ) -> Option<Vec<T>> {
        self.read(field, |value| {
            let items = match value {
                Value::Json(json) if json.starts_with('[') => items::read(json, most),
                Value::Json(json) => return Err(format!("must be an array such as {example}, not {}", kind(json))),
                Value::Parameter(_) | Value::Absent => return Err(format!("must be an array such as {example}")),
            };
            let items = items.map_err(|_| HALF_CHARACTER.to_owned())?;
            match items.count {
                0 => Err("is empty; at least one item is needed".to_owned()),
                count if count > most => Err(format!("has {count} items; at most {most} are accepted")),
                _ => Ok(items.first.into_iter().map(|item| read(item.get())).collect()),
            }
        })
    }

    /// All errors: those of the values, and the members that are not fields or are given twice.
    pub(super) fn finish(self, synonyms: Synonyms) -> Vec<ErrorDetail> {
        let mut errors = self.errors;
        let mut seen = HashSet::new();
        for (name, _) in &self.members {
            let detail = if !self.fields.contains(&name.as_str()) {
                let parts = self.synonyms.iter().copied().flatten();
                unknown_field(name, &self.fields, &synonyms.iter().chain(parts).copied().collect::<Vec<_>>())
            } else if !seen.insert(name) {
                "is given twice".to_owned()
            } else {
                continue;
            };
            errors.push(ErrorDetail { pointer: pointer_to(&self.pointer, name), detail });
            if errors.len() > ErrorDetail::MAX_COUNT {
                break;
            }
        }
        errors
    }

    fn read<T>(&mut self, field: &'static str, convert: impl FnOnce(Value<'a>) -> Result<T, String>) -> Option<T> {
        let value = self.take(field)?;
        convert(value).map_err(|detail| self.error(field, detail)).ok()
    }

    /// The object that is the value of a field.
    fn inner(&mut self, field: &'static str, example: &str) -> Option<Self> {
        let value = self.take(field)?;
        match value {
            Value::Json(json) if json.starts_with('{') => match members::read(json.as_bytes()) {
                (members, Ok(())) => return Some(Self::at(pointer_to(&self.pointer, field), members)),
                (_, Err(_)) => self.error(field, HALF_CHARACTER.to_owned()),
            },
            Value::Json(json) => self.error(field, format!("must be an object such as {example}, not {}", kind(json))),
            Value::Parameter(_) | Value::Absent => self.error(field, format!("must be an object such as {example}")),
        }
        None
    }

    /// The value of a field, if it has one. `null` and an empty parameter count as absent.
    fn take(&mut self, field: &'static str) -> Option<Value<'a>> {
        self.fields.push(field);
        let (_, value) = self.members.iter_mut().find(|(name, _)| name == field)?;
        Some(std::mem::take(value)).filter(|value| !value.is_absent())
    }

    fn error(&mut self, field: &str, detail: String) {
        self.errors.push(ErrorDetail { pointer: pointer_to(&self.pointer, field), detail });
    }
}

/// A member of an object as a JSON pointer (RFC 6901).
pub(super) fn pointer_to(object: &str, member: &str) -> String {
    format!("{object}/{}", member.replace('~', "~0").replace('/', "~1"))
}

fn unknown_field(name: &str, fields: &[&str], synonyms: &[Synonym]) -> String {
    match likely_field(name, fields, synonyms) {
        Some(field) => format!("is not a field; use {field}"),
        None => format!("is not a field; the fields are {}", fields.join(", ")),
    }
}

/// The field that a caller means by a name: the same words in another spelling, a synonym, or a name with a typing
/// error or two.
fn likely_field<'f>(name: &str, fields: &[&'f str], synonyms: &[Synonym]) -> Option<&'f str> {
    const MAX_NAME: usize = 64;
    if name.len() > MAX_NAME {
        return None;
    }
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let name = plain(name);
    let same = fields.iter().find(|field| plain(field) == name);
    let synonym = || synonyms.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(field, _)| field);
    let similar = || {
        let distances = fields.iter().map(|field| (osa_distance(&plain(field), &name), field));
        distances.filter(|(distance, field)| *distance <= (field.len() / 4).min(2)).min().map(|(_, field)| field)
    };
    same.or_else(synonym).or_else(similar).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [&str; 4] = ["conversationText", "endpoint", "limit", "status"];
    const SYNONYMS: Synonyms = &[("conversationText", &["text"]), ("endpoint", &["url"])];

    #[test]
    fn the_likely_field_is_found_by_spelling_synonym_and_similarity() {
        for (name, field) in [
            ("conversation_text", Some("conversationText")),
            ("Conversation-Text", Some("conversationText")),
            ("CONVERSATIONTEXT", Some("conversationText")),
            ("text", Some("conversationText")),
            ("URL", Some("endpoint")),
            ("endpiont", Some("endpoint")),
            ("endpoints", Some("endpoint")),
            ("limt", Some("limit")),
            ("statsu", Some("status")),
            ("conversationTitle", None),
            ("list", None),
            ("state", None),
            ("", None),
            ("日本", None),
        ] {
            assert_eq!(likely_field(name, &FIELDS, SYNONYMS), field, "{name}");
        }
        assert_eq!(likely_field(&"_".repeat(65), &["_"], &[]), None, "a long name is not compared");
    }
}
