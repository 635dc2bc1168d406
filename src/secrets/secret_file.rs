//! Files of secrets in the data directory: JSON that only its owner can read.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::private_files::{make_private_dir, read_private, write_private};

/// A file of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read or written.
    #[error("cannot keep secrets in {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The content of the file is damaged, or was not written by this program.
    #[error("the content of {path} is not valid; {remedy}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The advice to the operator.
        remedy: &'static str,
    },
}

impl SecretFileError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// Reads a file. Returns `None` if it does not exist.
pub(super) fn read<T: DeserializeOwned>(path: &Path, remedy: &'static str) -> Result<Option<T>, SecretFileError> {
    let Some(bytes) = read_private(path).map_err(SecretFileError::io(path))? else { return Ok(None) };
    let content = serde_json::from_slice(&bytes);
    content.map(Some).map_err(|_| SecretFileError::Damaged { path: path.to_owned(), remedy })
}

/// Writes a file, and creates its directory if it is missing.
pub(super) fn write<T: Serialize>(path: &Path, content: &T) -> Result<(), SecretFileError> {
    let text = serde_json::to_vec_pretty(content).map_err(io::Error::from);
    let write = |text: Vec<u8>| {
        path.parent().map_or(Ok(()), make_private_dir)?;
        write_private(path, &text)
    };
    text.and_then(write).map_err(SecretFileError::io(path))
}
