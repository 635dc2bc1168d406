//! The errors in the fields of a request, collected so that one response names all of them.

use super::ErrorDetail;

#[derive(Default)]
pub(super) struct FieldErrors(pub(super) Vec<ErrorDetail>);

impl FieldErrors {
    pub(super) fn add(&mut self, pointer: &str, detail: impl Into<String>) {
        self.0.push(ErrorDetail { pointer: pointer.to_owned(), detail: detail.into() });
    }

    /// The value, or `None` after its error was added.
    pub(super) fn check<T, E: ToString>(&mut self, pointer: &str, checked: Result<T, E>) -> Option<T> {
        checked.map_err(|error| self.add(pointer, error.to_string())).ok()
    }
}
