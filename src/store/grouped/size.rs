//! The size of an operation in an entity group transaction.

use crate::store::Operation;

/// An upper bound for the bytes of an operation besides its keys, its etag and its value: the boundary, the headers,
/// the address of the table, and the names of the properties.
const FRAME: usize = 1024;

/// An upper bound for the bytes of an operation in the body of a transaction. A group that is too large costs a second
/// request for each of its commits, and a group that could have been larger costs nearly nothing.
pub(in crate::store) fn size_in_transaction(operation: &Operation) -> usize {
    let (value, etag) = match operation {
        Operation::Insert { value, .. } => (value.as_str(), None),
        Operation::Replace { value, if_match, .. } => (value.as_str(), if_match.as_ref()),
        Operation::Delete { if_match, .. } => ("", if_match.as_ref()),
    };
    // The key is in the address and in the entity.
    FRAME + 2 * operation.key().len() + etag.map_or(0, |etag| etag.as_str().len()) + size_in_json(value)
}

/// An upper bound for the bytes of a text in JSON, without its quotes.
fn size_in_json(text: &str) -> usize {
    let size = |byte| match byte {
        // An escape such as `\u001f`.
        0..=0x1f => 6,
        b'"' | b'\\' => 2,
        // U+2028 and U+2029 begin with this byte. They have three bytes, and their escapes have six.
        0xe2 => 4,
        _ => 1,
    };
    text.bytes().map(size).sum()
}
