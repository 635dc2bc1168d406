//! The client of a laptop without configuration and its API key. The first start generates them and keeps them in the
//! data directory.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::secret_file::{self, SecretFileError};
use crate::auth::ApiKey;
use crate::domain::{ClientId, Secret};
use crate::json::{secret, text};
use crate::private_files::sync_parent;
use crate::time::Entropy;

const FILE: &str = "credentials.json";
/// The name of the file while the configuration has a client: a reader must not take its key for a valid one.
const UNUSED_FILE: &str = "credentials.json.unused";
const REMEDY: &str = "delete it, and the next start generates another API key; the signing keys are not in this file";
const EARLIER_REMEDY: &str = "restore it from a backup; it may contain the only copy of the signing keys";

/// The client of a local installation.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The first client.
    pub client: ClientId,
    /// The API key of the first client.
    pub api_key: ApiKey,
    /// The file that contains them.
    pub path: PathBuf,
    /// Whether this start has generated them.
    pub new: bool,
}

/// The content of the file. It contains the API key itself and not a hash, so that its owner can look it up. Only its
/// owner can read the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CredentialsFile {
    #[serde(with = "text")]
    client_id: ClientId,
    #[serde(with = "secret")]
    api_key: Secret<String>,
    /// Earlier releases kept the signing keys here. They are copied to the file that keeps them now.
    #[serde(default, skip_serializing, with = "secret::optional")]
    jwt_signing_keys: Option<Secret<String>>,
    #[serde(default, skip_serializing, with = "secret::optional")]
    webhook_signing_secrets: Option<Secret<String>>,
}

/// The signing keys that an earlier release has kept beside the API key.
#[derive(Default)]
pub(super) struct EarlierKeys {
    pub(super) jwt_signing_keys: Option<Secret<String>>,
    pub(super) webhook_signing_secrets: Option<Secret<String>>,
}

impl Credentials {
    /// Reads the credentials in a directory; `None` if no start has generated any, or while the settings have a client.
    ///
    /// # Errors
    /// [`SecretFileError`] if they cannot be read.
    pub fn load(dir: &Path) -> Result<Option<Self>, SecretFileError> {
        let path = dir.join(FILE);
        let file = secret_file::read::<CredentialsFile>(&path, REMEDY)?;
        file.map(|file| Self::of(file, path, false)).transpose()
    }

    /// Reads the credentials in a directory, or generates them.
    ///
    /// # Errors
    /// [`SecretFileError`] if they cannot be read or written.
    pub(super) fn load_or_generate(dir: &Path, entropy: &dyn Entropy) -> Result<Self, SecretFileError> {
        rename(dir, UNUSED_FILE, FILE)?;
        let path = dir.join(FILE);
        let (file, new) = match secret_file::read::<CredentialsFile>(&path, REMEDY)? {
            Some(file) => (file, false),
            None => (CredentialsFile::generate(entropy), true),
        };
        if new {
            secret_file::write(&path, &file)?;
        }
        Self::of(file, path, new)
    }

    fn of(file: CredentialsFile, path: PathBuf, new: bool) -> Result<Self, SecretFileError> {
        let damaged = |_| SecretFileError::Damaged { path: path.clone(), remedy: REMEDY };
        Ok(Self { api_key: ApiKey::new(file.api_key).map_err(damaged)?, client: file.client_id, path, new })
    }

    /// Renames the file, because the configuration has a client and the one in the file is not valid.
    pub(super) fn set_aside(dir: &Path) -> Result<(), SecretFileError> {
        if rename(dir, FILE, UNUSED_FILE)? {
            tracing::info!("SCHEDULER_CLIENT_ID is set: the client in {FILE} is not valid; renamed to {UNUSED_FILE}");
        }
        Ok(())
    }

    /// The signing keys in a file of an earlier release. `None` if there is no file.
    pub(super) fn earlier_keys(dir: &Path) -> Result<Option<EarlierKeys>, SecretFileError> {
        for name in [FILE, UNUSED_FILE] {
            let file = secret_file::read::<CredentialsFile>(&dir.join(name), EARLIER_REMEDY)?;
            if let Some(CredentialsFile { jwt_signing_keys, webhook_signing_secrets, .. }) = file {
                return Ok(Some(EarlierKeys { jwt_signing_keys, webhook_signing_secrets }));
            }
        }
        Ok(None)
    }
}

impl CredentialsFile {
    fn generate(entropy: &dyn Entropy) -> Self {
        let client_id = ClientId::local();
        let api_key = ApiKey::generate(&client_id, entropy).secret().clone();
        Self { client_id, api_key, jwt_signing_keys: None, webhook_signing_secrets: None }
    }
}

/// Renames a file, unless the new name is taken by a file that counts. Returns whether it has been renamed.
fn rename(dir: &Path, from: &str, to: &str) -> Result<bool, SecretFileError> {
    let (from, to) = (dir.join(from), dir.join(to));
    if to.ends_with(FILE) && to.exists() {
        return Ok(false);
    }
    match fs::rename(&from, &to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => result.and_then(|()| sync_parent(&to)).map(|()| true).map_err(SecretFileError::io(&from)),
    }
}
