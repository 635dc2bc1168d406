//! What a laptop needs to start with no configuration: a client, its key, and a signing key, made on
//! the first run and kept beside the store.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::auth::{ApiKey, SigningKeys};
use crate::clock::{Entropy, random};
use crate::domain::{ClientId, Secret};
use crate::store::make_private_dir;

/// The credentials of a local installation.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The first client.
    pub client: ClientId,
    /// Its key.
    pub api_key: ApiKey,
    /// What tokens are signed with.
    pub signing_keys: SigningKeys,
    /// Where they are kept.
    pub path: PathBuf,
    /// Whether they were made just now.
    pub new: bool,
}

/// The credentials could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file system refused.
    #[error("cannot keep credentials in {path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not ours, or damaged.
    #[error("{path} cannot be read as credentials; delete it to have new ones made")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
}

/// The file. It holds the key itself, not a hash, so that its owner can look it up; only its owner
/// can read it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    client_id: ClientId,
    api_key: Secret<String>,
    jwt_signing_keys: Secret<String>,
}

impl Credentials {
    const FILE: &str = "credentials.json";

    /// Reads the credentials kept in a directory, or makes new ones.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn load_or_make(dir: &Path, entropy: &dyn Entropy) -> Result<Self, CredentialsError> {
        let path = dir.join(Self::FILE);
        let (kept, new) = match fs::read(&path) {
            Ok(bytes) => {
                let kept =
                    serde_json::from_slice(&bytes).map_err(|_| CredentialsError::Damaged { path: path.clone() })?;
                (kept, false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let kept = Kept::make(entropy);
                kept.write(dir, &path).map_err(|source| CredentialsError::Io { path: path.clone(), source })?;
                (kept, true)
            }
            Err(source) => return Err(CredentialsError::Io { path, source }),
        };
        let damaged = || CredentialsError::Damaged { path: path.clone() };
        Ok(Self {
            api_key: ApiKey::new(kept.api_key).map_err(|_| damaged())?,
            signing_keys: kept.jwt_signing_keys.expose().parse().map_err(|_| damaged())?,
            client: kept.client_id,
            path,
            new,
        })
    }
}

impl Kept {
    fn make(entropy: &dyn Entropy) -> Self {
        let client_id = ClientId::local();
        let api_key = ApiKey::generate(&client_id, entropy).secret().clone();
        let signing_key = URL_SAFE_NO_PAD.encode(random::<32>(entropy));
        Self { client_id, api_key, jwt_signing_keys: Secret::new(format!("local:{signing_key}")) }
    }

    /// Whole or not at all: written beside its place, made durable, and moved there.
    fn write(&self, dir: &Path, path: &Path) -> io::Result<()> {
        make_private_dir(dir)?;
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn they_are_made_once_and_only_their_owner_can_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let made = Credentials::load_or_make(&data, &SystemEntropy::new()).unwrap();
        assert!(made.new);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&made.path)), (0o700, 0o600));
        let again = Credentials::load_or_make(&data, &SystemEntropy::new()).unwrap();
        assert!(!again.new);
        assert_eq!(made.api_key.secret(), again.api_key.secret());
    }

    #[test]
    fn a_damaged_file_is_said_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Credentials::FILE);
        fs::write(&path, "{").unwrap();
        let error = Credentials::load_or_make(dir.path(), &SystemEntropy::new()).unwrap_err();
        assert!(error.to_string().contains("credentials.json"));
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }
}
