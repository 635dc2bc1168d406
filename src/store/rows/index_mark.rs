//! The row that says whether the conversations of earlier releases have the index and retention rows and the encrypted parts
//! of this one.

use serde::{Deserialize, Serialize};

use super::projection::CURRENT;
use super::{decode, encode};
use crate::domain::Timestamp;
use crate::store::{Row, StoreError};

/// The key of the row. No other row has it, because all others have parts.
pub(in crate::store) const INDEX_MARK: &str = "x";

/// How far the index of a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexMark {
    /// A process of this release has used the store since this time. Others may still be of an earlier release.
    Since(Timestamp),
    /// Every conversation has the rows of this release, and each list may rely on them.
    Complete,
    /// The same of an earlier release. Some final conversations have no retention row, or secrets are not encrypted.
    CompleteBefore,
}

#[derive(Serialize, Deserialize)]
struct IndexMarkValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    /// The version of the projection whose rows every conversation has. The first mark did not say it.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    projection: Option<u32>,
}

pub(in crate::store) fn encode_index_mark(mark: IndexMark) -> Result<String, StoreError> {
    let (since, projection) = match mark {
        IndexMark::Since(at) => (Some(at.as_millis()), None),
        IndexMark::Complete => (None, Some(CURRENT)),
        IndexMark::CompleteBefore => (None, None),
    };
    encode(&IndexMarkValue { since, projection })
}

pub(in crate::store) fn decode_index_mark(row: &Row) -> Result<IndexMark, StoreError> {
    let IndexMarkValue { since, projection } = decode(row)?;
    Ok(match since {
        Some(at) => IndexMark::Since(Timestamp::from_millis(at)),
        None if projection >= Some(CURRENT) => IndexMark::Complete,
        None => IndexMark::CompleteBefore,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Etag;

    #[test]
    fn a_mark_is_read_back() {
        for (mark, value) in [
            (IndexMark::Since(Timestamp::from_millis(1_893_459_600_000)), r#"{"v":1,"row":{"since":1893459600000}}"#),
            (IndexMark::Complete, r#"{"v":1,"row":{"p":5}}"#),
            (IndexMark::CompleteBefore, r#"{"v":1,"row":{}}"#),
        ] {
            assert_eq!(encode_index_mark(mark).unwrap(), value);
            let row = Row { key: INDEX_MARK.to_owned(), value: value.to_owned(), etag: Etag::new("1".to_owned()) };
            assert_eq!(decode_index_mark(&row).unwrap(), mark);
        }
    }
}
