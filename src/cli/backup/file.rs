//! The first and the last line of an export. The lines between them come from the service.

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// The version of the form of the lines. A program reads those up to its own.
pub(super) const FORMAT: u32 = 1;

/// The first or the last line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mark {
    /// The first line. A newer version may have more members.
    Export {
        /// See [`FORMAT`].
        format: u32,
        /// The version of the program.
        version: String,
        /// The time at which the export began.
        time: String,
    },
    /// The last line.
    End {
        /// The number of lines between the two.
        lines: usize,
    },
}

impl Mark {
    pub(super) fn first(now: Timestamp) -> Self {
        Self::Export { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), time: now.to_string() }
    }

    pub(super) fn to_line(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    /// Reads a line. `None` if it is neither the first nor the last.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_marks_are_read_back_and_other_lines_are_none() {
        let first = Mark::first(Timestamp::from_millis(1_893_459_600_000));
        let line = first.to_line().unwrap();
        assert!(line.starts_with(r#"{"export":{"format":1,"version":""#), "{line}");
        assert!(line.ends_with(r#","time":"2030-01-01T01:00:00.000Z"}}"#), "{line}");
        assert_eq!(Mark::read(&line), Some(first));
        assert_eq!(Mark::read(r#"{"end":{"lines":2}}"#), Some(Mark::End { lines: 2 }));
        for other in ["", "{}", r#"{"client":{}}"#, r#"{"end":{}}"#] {
            assert_eq!(Mark::read(other), None, "{other}");
        }
    }
}
