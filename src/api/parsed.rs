//! A request that was read, and the errors that were found so far.

use super::object_reader::{FromObject, ObjectReader, pointer_to};
use super::value::kind;
use super::{ErrorDetail, Problem};
use crate::json::members::{self, Member};
use crate::json::syntax;

/// A request that was read, and the errors in its fields. A field with an error is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parsed<T> {
    value: T,
    errors: Vec<ErrorDetail>,
}

impl<T: FromObject> Parsed<T> {
    /// Reads a JSON object. Unknown and duplicate fields are errors: a caller that writes `endpiont` would otherwise
    /// not notice that its endpoint is ignored.
    ///
    /// # Errors
    /// [`Problem`] if the text is not one JSON object.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Problem> {
        let (members, result) = members::read(json);
        match result {
            Ok(()) => Ok(Self::from_reader(ObjectReader::new(members))),
            Err(error) => Err(not_an_object(json, &members, &error)),
        }
    }

    /// Reads the parameters of a query string.
    pub(crate) fn from_query(query: &str) -> Self {
        Self::from_reader(ObjectReader::from_query(query))
    }

    /// The problem with a body of which only the beginning was read, if it shows there. It helps the caller more than
    /// the size of the body does.
    pub(crate) fn problem_in_beginning(json: &[u8]) -> Option<Problem> {
        match members::read(json) {
            (members, Err(error)) if !error.is_eof() => Some(not_an_object(json, &members, &error)),
            (members, _) => {
                let errors = Self::from_reader(ObjectReader::new(members)).errors;
                (!errors.is_empty()).then(|| Problem::invalid(errors))
            }
        }
    }

    fn from_reader(mut object: ObjectReader<'_>) -> Self {
        let value = T::from_object(&mut object);
        Self { value, errors: object.finish(T::SYNONYMS) }
    }

    /// Checks the rules of the request.
    ///
    /// # Errors
    /// [`Problem`] with all errors, those in the fields and those against the rules.
    pub(crate) fn validate<V>(self, check: impl FnOnce(T) -> Result<V, Vec<ErrorDetail>>) -> Result<V, Problem> {
        self.check(check).map_err(Problem::invalid)
    }
}

impl<T> Parsed<T> {
    /// Checks the rules of the request.
    ///
    /// # Errors
    /// All errors, those in the fields and those against the rules.
    pub(crate) fn check<V>(self, check: impl FnOnce(T) -> Result<V, Vec<ErrorDetail>>) -> Result<V, Vec<ErrorDetail>> {
        let mut errors = self.errors;
        match check(self.value) {
            Ok(valid) if errors.is_empty() => return Ok(valid),
            Ok(_) => {}
            Err(more) => {
                // A field with a value that could not be read is not missing.
                let read: Vec<_> =
                    more.into_iter().filter(|new| !errors.iter().any(|e| e.pointer == new.pointer)).collect();
                errors.extend(read);
            }
        }
        Err(errors)
    }

    /// The request. A field with an error is `None`.
    pub(crate) const fn value(&self) -> &T {
        &self.value
    }

    /// Takes a part out of the request.
    pub(crate) fn split<U, P>(self, split: impl FnOnce(T) -> (U, P)) -> (Parsed<U>, P) {
        let (value, part) = split(self.value);
        (Parsed { value, errors: self.errors }, part)
    }
}

/// The problem with a text that is not one JSON object.
pub(super) fn not_an_object(json: &[u8], members: &[Member<'_>], error: &serde_json::Error) -> Problem {
    let invalid = |pointer: String, detail: String| Problem::invalid(vec![ErrorDetail { pointer, detail }]);
    if error.is_data() {
        let kind = kind(std::str::from_utf8(json).unwrap_or_default().trim_start());
        return invalid(String::new(), format!("must be a JSON object, not {kind}"));
    }
    match members.last() {
        Some(Member { name, value: None }) if error.is_syntax() => {
            invalid(pointer_to("", name), format!("is not JSON: the body {}", syntax::defect(json, error)))
        }
        _ => Problem::malformed_json(json, error),
    }
}
