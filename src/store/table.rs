//! The table port: rows in partitions, changed by atomic commits of operations with conditions.
//!
//! The port has only the operations that Azure Table Storage has. So the backend for Azure stays small, and the other
//! backends cannot make a promise that it could not keep (docs/decisions/0003-low-level-ports.md).

use std::fmt;

use async_trait::async_trait;

/// The largest number of operations in one commit. It is the limit of an entity group transaction on Azure.
pub const MAX_COMMIT_OPERATIONS: usize = 100;

/// An ordered map of rows in partitions.
#[async_trait]
pub trait Table: Send + Sync + 'static {
    /// Applies all operations, or none. Returns the new etag of each row (`None` for a deletion). After `Ok` the change
    /// survives a crash of the process and a loss of power.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError>;

    /// Reads one row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError>;

    /// Reads the first `limit` rows of a range, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError>;
}

/// The name of a partition. All partitions are known at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(&'static str);

impl Partition {
    /// A partition. The name uses the alphabet of row keys.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A change of one row, with the condition under which it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds a row. The row must not exist.
    Insert {
        /// The key of the row.
        key: String,
        /// The value of the row.
        value: String,
    },
    /// Replaces the value of a row. The row must exist.
    Replace {
        /// The key of the row.
        key: String,
        /// The next value of the row.
        value: String,
        /// If this is given, the row must still have this etag.
        if_match: Option<Etag>,
    },
    /// Deletes a row. The row must exist.
    Delete {
        /// The key of the row.
        key: String,
        /// If this is given, the row must still have this etag.
        if_match: Option<Etag>,
    },
}

impl Operation {
    /// The key of the row that the operation changes.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Insert { key, .. } | Self::Replace { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// Whether the condition of the operation holds for a row with this etag, or for a row that does not exist
    /// (`None`).
    #[must_use]
    pub fn is_applicable(&self, current: Option<&Etag>) -> bool {
        match self {
            Self::Insert { .. } => current.is_none(),
            Self::Replace { if_match: None, .. } | Self::Delete { if_match: None, .. } => current.is_some(),
            Self::Replace { if_match, .. } | Self::Delete { if_match, .. } => current == if_match.as_ref(),
        }
    }
}

/// The version of a row. Each change gives the row a new etag. Only the store knows the meaning of the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// Wraps the text that a backend uses for the version.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text that the backend uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key, unique within the partition.
    pub key: String,
    /// The value, a text that the backend does not interpret.
    pub value: String,
    /// The version at the time of the read.
    pub etag: Etag,
}

/// A range of keys, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The beginning of the range (inclusive).
    pub from: String,
    /// The end of the range (exclusive).
    pub to: String,
}

impl KeyRange {
    /// All keys that begin with a prefix.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        // '~' is the last character of the key alphabet, and DEL follows it.
        Self { from: prefix.to_owned(), to: format!("{prefix}\x7f") }
    }

    /// All keys from one key to another one, with both of them.
    #[must_use]
    pub fn including(first: &str, last: &str) -> Self {
        Self { from: first.to_owned(), to: next(last) }
    }

    /// All keys after one key, up to another one.
    #[must_use]
    pub fn between(after: &str, up_to: &str) -> Self {
        Self { from: next(after), to: next(up_to) }
    }

    /// The part of the range after a key.
    #[must_use]
    pub fn after(self, key: &str) -> Self {
        Self { from: next(key), ..self }
    }
}

/// The first possible key after a key: '-' is the first character of the key alphabet.
fn next(key: &str) -> String {
    format!("{key}-")
}

/// The reason why a commit was not applied, or may not have been applied.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The condition of an operation does not hold. Nothing was applied.
    #[error("a row has changed, already exists or no longer exists")]
    Conflict {
        /// The position of the first operation whose condition does not hold. `None` if the service did not name it.
        operation: Option<usize>,
    },
    /// The store cannot be reached or cannot write. Nothing was applied.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Cause),
    /// The commit may or may not have been applied. The caller must read the rows before it continues.
    #[error("the result of the commit is unknown: {0}")]
    Unknown(#[source] Cause),
    /// The call breaks a rule of the port. This is a defect in this program.
    #[error("the store port refuses the call: {0}")]
    Refused(String),
}

impl CommitError {
    /// The kind of error, as the metrics name it.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::Refused(_) => "refused",
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Conflict,
            CommitError::Unavailable(cause) => Self::Unavailable(cause),
            CommitError::Unknown(cause) => Self::Unknown(cause),
            CommitError::Refused(reason) => Self::Refused(reason),
        }
    }
}

/// A backend reads rows to check the conditions of a commit. If a read fails, nothing was applied.
impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict { operation: None },
            StoreError::Unavailable(cause) => Self::Unavailable(cause),
            StoreError::Unknown(cause) => Self::Unknown(cause),
            StoreError::Refused(reason) => Self::Refused(reason),
            unread @ (StoreError::Corrupt { .. } | StoreError::Undecryptable { .. }) => {
                Self::Unavailable(unread.into())
            }
        }
    }
}

/// The reason why a call of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A condition of the commit does not hold. Nothing was applied.
    #[error("a row has changed, already exists or no longer exists")]
    Conflict,
    /// The store cannot be reached or cannot write. Nothing was applied.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Cause),
    /// The commit may or may not have been applied. The caller must read the rows before it continues.
    #[error("the result of the commit is unknown: {0}")]
    Unknown(#[source] Cause),
    /// The call breaks a rule of the port. This is a defect in this program.
    #[error("the store port refuses the call: {0}")]
    Refused(String),
    /// A row cannot be read. A newer version has written it, or it is damaged.
    #[error("the row {key} cannot be read: {reason}")]
    Corrupt {
        /// The key of the row.
        key: String,
        /// The problem. It does not quote the row, which may contain secrets.
        reason: String,
    },
    /// The encrypted part of a row cannot be decrypted. Nothing is lost: the row is read again when its key is back.
    #[error("the row {key} cannot be decrypted: {reason}")]
    Undecryptable {
        /// The key of the row.
        key: String,
        /// The problem, with the id of the encryption key.
        reason: String,
    },
}

impl StoreError {
    /// The kind of error, as the metrics name it.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::Refused(_) => "refused",
            Self::Corrupt { .. } => "corrupt",
            Self::Undecryptable { .. } => "undecryptable",
        }
    }

    /// Whether the same call may succeed later: others changed the rows, or the store was out of reach.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Conflict | Self::Unavailable(_) | Self::Unknown(_) => true,
            Self::Refused(_) | Self::Corrupt { .. } | Self::Undecryptable { .. } => false,
        }
    }
}

/// An error of the library that a backend uses.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Checks the rules that all backends share: the number of operations, and their keys.
///
/// # Errors
/// [`CommitError::Refused`].
pub fn check_operations(operations: &[Operation]) -> Result<(), CommitError> {
    let refuse = |reason: fmt::Arguments<'_>| Err(CommitError::Refused(reason.to_string()));
    if operations.is_empty() || operations.len() > MAX_COMMIT_OPERATIONS {
        return refuse(format_args!("a commit cannot have {} operations", operations.len()));
    }
    for (i, operation) in operations.iter().enumerate() {
        let key = operation.key();
        if !is_key(key) {
            return refuse(format_args!("the key {key:?} is invalid"));
        }
        if operations.iter().take(i).any(|o| o.key() == key) {
            return refuse(format_args!("the commit has the key {key} twice"));
        }
    }
    Ok(())
}

/// Whether a text can be the key of a row.
#[must_use]
pub fn is_key(text: &str) -> bool {
    (1..=512).contains(&text.len()) && in_alphabet(text)
}

/// Whether a text has only characters of the key alphabet. The crates for Azure storage write keys into URLs and
/// filters without escaping them, so other characters are not allowed.
pub(super) fn in_alphabet(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_applicable_exactly_if_its_condition_holds() {
        let [first, second] = ["1", "2"].map(|text| Etag::new(text.to_owned()));
        let (key, value) = ("k".to_owned(), "v".to_owned());
        let insert = Operation::Insert { key: key.clone(), value: value.clone() };
        let replace = |if_match| Operation::Replace { key: key.clone(), value: value.clone(), if_match };
        let delete = |if_match| Operation::Delete { key: key.clone(), if_match };
        let currents = [None, Some(&first), Some(&second)];
        for (operation, expected) in [
            (insert, [true, false, false]),
            (replace(None), [false, true, true]),
            (replace(Some(first.clone())), [false, true, false]),
            (delete(None), [false, true, true]),
            (delete(Some(first.clone())), [false, true, false]),
        ] {
            assert_eq!(currents.map(|current| operation.is_applicable(current)), expected, "{operation:?}");
        }
    }
}
