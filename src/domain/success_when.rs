//! The check that decides whether an endpoint that answered 2xx accepted the conversation.

use std::fmt;

/// A check on the JSON body of a response with a status of 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessWhen {
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What must be there.
    pub expected: Expected,
}

/// What a response must have at the pointer.
#[derive(Clone, PartialEq, Eq)]
pub enum Expected {
    /// This string, number or boolean, as JSON text.
    Equals(String),
    /// Nothing, or `null`.
    Absent,
}

impl SuccessWhen {
    /// The longest pointer, in bytes.
    pub const MAX_POINTER: usize = 256;
    /// The longest expected value, in bytes of JSON text.
    pub const MAX_EXPECTED: usize = 1024;

    /// The size of the pointer and the expected value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let expected = match &self.expected {
            Expected::Equals(json) => json.len(),
            Expected::Absent => 0,
        };
        self.pointer.len() + expected
    }

    /// Checks that a text is a JSON pointer that is not too long.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the name of the field.
    pub fn check_pointer(pointer: &str) -> Result<(), String> {
        if pointer.len() > Self::MAX_POINTER {
            return Err(format!("has {} bytes; at most {} are accepted", pointer.len(), Self::MAX_POINTER));
        }
        let escapes_are_right = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !(pointer.is_empty() || pointer.starts_with('/')) || !escapes_are_right {
            return Err(
                "is not a JSON pointer such as /ok or /result/0/state; write ~ as ~0 and / in a name as ~1".into()
            );
        }
        Ok(())
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(json) => write!(f, "equals {json}"),
            Self::Absent => f.write_str("absent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_has_the_form_of_rfc_6901() {
        for good in ["", "/", "/ok", "/a~0b~1c/0", "/ä/-"] {
            assert_eq!(SuccessWhen::check_pointer(good), Ok(()), "{good}");
        }
        for bad in ["ok", "$.ok", "/a~", "/a~2", "#/ok"] {
            assert!(SuccessWhen::check_pointer(bad).unwrap_err().contains("such as /ok"), "{bad}");
        }
        assert!(SuccessWhen::check_pointer(&format!("/{}", "a".repeat(256))).unwrap_err().contains("257 bytes"));
    }
}
