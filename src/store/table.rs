//! The table port: rows in partitions, changed in atomic groups, each change under a condition.
//!
//! This is what Azure Table Storage gives and no more, so that a backend on it is thin and the
//! others cannot promise what it could not keep.

use std::fmt;

use async_trait::async_trait;

/// How many operations one commit may hold (Azure Table Storage: an entity group transaction).
pub const MAX_COMMIT_OPERATIONS: usize = 100;

/// An ordered map of rows in partitions.
#[async_trait]
pub trait Table: Send + Sync + 'static {
    /// Applies all operations, or none. Returns each operation's new etag (`None` for a deletion).
    /// When this returns `Ok`, the change survives the loss of the process and of power.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] if a condition does not hold; nothing was applied.
    /// [`CommitError::Unknown`] if the commit may or may not have been applied.
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

/// The name of a partition. All there are is known at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(&'static str);

impl Partition {
    /// A partition; the name follows the same alphabet as a row key.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A change of one row, with its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The row must not exist.
    Insert {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// The row must exist and, where an etag is given, be unchanged.
    Replace {
        /// Its key.
        key: String,
        /// Its next value.
        value: String,
        /// Its state when it was read.
        if_match: Option<Etag>,
    },
    /// The row must exist and, where an etag is given, be unchanged.
    Delete {
        /// Its key.
        key: String,
        /// What it was when it was read.
        if_match: Option<Etag>,
    },
}

impl Operation {
    /// The key of the row it changes.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Insert { key, .. } | Self::Replace { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// The state of a row as the store names it; a row that changed has another one. Opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// Takes over a store's own name for a row's state.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The store's own name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its state when it was read.
    pub etag: Etag,
}

/// The keys from one (inclusive) to another (exclusive), in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key in the range.
    pub from: String,
    /// The first key behind the range.
    pub to: String,
}

impl KeyRange {
    /// All keys that begin with a prefix.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        // DEL follows '~', the last character of the key alphabet.
        Self { from: prefix.to_owned(), to: format!("{prefix}\x7f") }
    }

    /// The part of the range behind a key.
    #[must_use]
    pub fn after(self, key: &str) -> Self {
        // '-' is the first character of the key alphabet: nothing lies between.
        Self { from: format!("{key}-"), ..self }
    }
}

/// Why a commit was not applied, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The condition of an operation does not hold. Nothing was applied.
    #[error("a row was changed, exists already or is gone")]
    Conflict {
        /// The position of the first operation whose condition does not hold; `None` if the service did not name it.
        operation: Option<usize>,
    },
    /// The store cannot be reached or cannot write. Nothing was applied.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Cause),
    /// The commit may or may not have been applied: read before acting.
    #[error("the result of the commit is unknown: {0}")]
    Unknown(#[source] Cause),
    /// The call breaks the port's rules: a defect in this program.
    #[error("refused by the store port: {0}")]
    Refused(String),
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

/// A commit reads rows to check its conditions. When that fails, nothing was applied.
impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict { operation: None },
            StoreError::Unavailable(cause) => Self::Unavailable(cause),
            StoreError::Unknown(cause) => Self::Unknown(cause),
            StoreError::Refused(reason) => Self::Refused(reason),
            corrupt @ StoreError::Corrupt { .. } => Self::Unavailable(corrupt.into()),
        }
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A condition of the commit does not hold. Nothing was applied.
    #[error("a row was changed by somebody else, or exists, or is gone")]
    Conflict,
    /// The store cannot be reached or cannot write. Nothing was applied.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Cause),
    /// The commit may or may not have been applied: read before acting.
    #[error("the result of the commit is unknown: {0}")]
    Unknown(#[source] Cause),
    /// The call breaks the port's rules: a defect in this program.
    #[error("refused by the store port: {0}")]
    Refused(String),
    /// A row cannot be read: written by a newer version, or damaged.
    #[error("the row {key} cannot be read: {reason}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong, without the row's content.
        reason: String,
    },
}

/// What a backend's own library reported.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Checks what every backend must refuse alike.
///
/// # Errors
/// [`CommitError::Refused`].
pub fn check_operations(operations: &[Operation]) -> Result<(), CommitError> {
    let refuse = |why: fmt::Arguments<'_>| Err(CommitError::Refused(why.to_string()));
    if operations.is_empty() || operations.len() > MAX_COMMIT_OPERATIONS {
        return refuse(format_args!("{} operations in one commit", operations.len()));
    }
    for (i, operation) in operations.iter().enumerate() {
        let key = operation.key();
        if key.is_empty() || key.len() > 512 || !in_alphabet(key) {
            return refuse(format_args!("the key {key:?}"));
        }
        if operations.iter().take(i).any(|o| o.key() == key) {
            return refuse(format_args!("the key {key} twice in one commit"));
        }
    }
    Ok(())
}

/// Whether a text has no other characters than keys may have: the storage crates put keys into URLs
/// and filters without escaping them.
pub(super) fn in_alphabet(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~'))
}
