//! Why a command failed, and its exit code.

use std::fmt;
use std::process::ExitCode;

use serde_json::Value;

use super::members::{list, text};

/// Why a command failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// The service refuses the request.
    Refused {
        /// What the service has answered.
        problem: Value,
        /// The same in plain words.
        text: String,
    },
    /// No service has answered.
    Unreachable(String),
    /// There is no login, or the service refuses it.
    Login(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// docs/command-line.md lists the exit codes. That of wrong arguments is 2.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused { .. } | Self::Other(_) => 1,
            Self::Unreachable(_) => 3,
            Self::Login(_) => 4,
        })
    }

    /// The problem with which the service refuses a request. If it has several errors, each gets a line.
    pub(super) fn refused(problem: Value) -> Self {
        let (title, detail, hint) = (text(&problem, "title"), text(&problem, "detail"), text(&problem, "hint"));
        let errors = list(&problem, "errors");
        let text = if errors.len() > 1 {
            let name = |error| text(error, "pointer").trim_start_matches('/').replace('/', ".");
            let lines: Vec<_> =
                errors.iter().map(|error| format!("  {} {}", name(error), text(error, "detail"))).collect();
            format!("{title}:\n{}\n{hint}", lines.join("\n"))
        } else {
            let end = if detail.ends_with('.') || hint.is_empty() { "" } else { "." };
            format!("{detail}{end} {hint}")
        };
        Self::Refused { text: text.trim_end().to_owned(), problem }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused { text, .. } | Self::Unreachable(text) | Self::Login(text) | Self::Other(text)) = self;
        f.write_str(text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// The commands of operators end with 1 for every failure, so they need only its text.
impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_has_its_hint_and_a_line_for_each_of_several_errors() {
        let one = json!({ "detail": "a is wrong", "hint": "Do this.", "errors": [{ "pointer": "/a", "detail": "is wrong" }] });
        assert_eq!(Failure::refused(one).to_string(), "a is wrong. Do this.");
        let two = json!({
            "title": "The request is not valid", "detail": "both", "hint": "Do this.",
            "errors": [
                { "pointer": "/endpoint", "detail": "is required" },
                { "pointer": "/recurrence/cron", "detail": "has three fields" },
            ],
        });
        let expected =
            "The request is not valid:\n  endpoint is required\n  recurrence.cron has three fields\nDo this.";
        assert_eq!(Failure::refused(two).to_string(), expected);
        assert_eq!(Failure::refused(json!({ "detail": "It is gone." })).to_string(), "It is gone.");
    }
}
