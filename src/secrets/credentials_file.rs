//! The credentials of a laptop without configuration: a client, its API key, a key for tokens and a secret for
//! deliveries. The first start generates them and keeps them in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::auth::{ApiKey, SigningKeys};
use crate::delivery::SigningSecrets;
use crate::domain::{ClientId, Secret};
use crate::json::{secret, text};
use crate::store::make_private_dir;
use crate::time::{Entropy, random};

/// The credentials of a local installation.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The first client.
    pub client: ClientId,
    /// The API key of the first client.
    pub api_key: ApiKey,
    /// The keys that sign tokens.
    pub signing_keys: SigningKeys,
    /// The secrets that sign deliveries.
    pub signing_secrets: SigningSecrets,
    /// The file that contains them.
    pub path: PathBuf,
    /// Whether this start has generated them.
    pub new: bool,
}

/// The credentials could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error("cannot keep credentials in {path}: {source}")]
    Io {
        /// The file, or its directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The content of the file is damaged, or was not written by this program.
    #[error("{path} does not contain valid credentials; delete it, and the next start generates new ones")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
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
    #[serde(with = "secret")]
    jwt_signing_keys: Secret<String>,
    /// Missing in files of releases that did not sign deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::optional")]
    webhook_signing_secrets: Option<Secret<String>>,
}

impl Credentials {
    const FILE: &str = "credentials.json";

    /// Reads the credentials in a directory, or generates them.
    ///
    /// # Errors
    /// [`CredentialsError`] if they cannot be read or written.
    pub fn load_or_generate(dir: &Path, entropy: &dyn Entropy) -> Result<Self, CredentialsError> {
        let path = dir.join(Self::FILE);
        let (mut file, new): (CredentialsFile, _) = match fs::read(&path) {
            Ok(bytes) => {
                let file =
                    serde_json::from_slice(&bytes).map_err(|_| CredentialsError::Damaged { path: path.clone() })?;
                (file, false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (CredentialsFile::generate(entropy), true),
            Err(source) => return Err(CredentialsError::Io { path, source }),
        };
        let incomplete = file.webhook_signing_secrets.is_none();
        let signing_secrets =
            file.webhook_signing_secrets.get_or_insert_with(|| SigningSecrets::generate(entropy)).clone();
        if new || incomplete {
            file.write(dir, &path).map_err(|source| CredentialsError::Io { path: path.clone(), source })?;
        }
        let damaged = || CredentialsError::Damaged { path: path.clone() };
        Ok(Self {
            api_key: ApiKey::new(file.api_key).map_err(|_| damaged())?,
            signing_keys: file.jwt_signing_keys.expose().parse().map_err(|_| damaged())?,
            signing_secrets: signing_secrets.expose().parse().map_err(|_| damaged())?,
            client: file.client_id,
            path,
            new,
        })
    }
}

impl CredentialsFile {
    fn generate(entropy: &dyn Entropy) -> Self {
        let client_id = ClientId::local();
        let api_key = ApiKey::generate(&client_id, entropy).secret().clone();
        let signing_key = URL_SAFE_NO_PAD.encode(random::<32>(entropy));
        Self {
            client_id,
            api_key,
            jwt_signing_keys: Secret::new(format!("local:{signing_key}")),
            webhook_signing_secrets: None,
        }
    }

    /// Writes the file completely or not at all: a draft is written and synced, and then renamed.
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
    use crate::domain::Timestamp;
    use crate::time::SystemEntropy;

    #[test]
    fn they_are_generated_once_and_only_their_owner_can_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let generated = Credentials::load_or_generate(&data, &SystemEntropy::new()).unwrap();
        assert!(generated.new);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&generated.path)), (0o700, 0o600));
        let again = Credentials::load_or_generate(&data, &SystemEntropy::new()).unwrap();
        assert!(!again.new);
        assert_eq!(generated.api_key.secret(), again.api_key.secret());
    }

    #[test]
    fn a_file_from_before_deliveries_were_signed_gets_a_secret_and_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Credentials::FILE);
        let keys = format!("local:{}", "ab".repeat(32));
        fs::write(&path, format!(r#"{{"clientId":"local","apiKey":"{}","jwtSigningKeys":"{keys}"}}"#, "k".repeat(20)))
            .unwrap();
        let load = || Credentials::load_or_generate(dir.path(), &SystemEntropy::new()).unwrap();
        let signature = |credentials: &Credentials| credentials.signing_secrets.sign("id", Timestamp::MIN, b"");
        let first = load();
        assert!(!first.new);
        assert_eq!(first.api_key.secret().expose(), &"k".repeat(20));
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.contains(&keys) && written.contains("\"webhookSigningSecrets\": \"whsec_"), "{written}");
        assert_eq!(signature(&load()), signature(&first));
        assert_eq!(fs::read_to_string(&path).unwrap(), written);
    }

    #[test]
    fn a_damaged_file_is_reported_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Credentials::FILE);
        fs::write(&path, "{").unwrap();
        let error = Credentials::load_or_generate(dir.path(), &SystemEntropy::new()).unwrap_err();
        assert!(error.to_string().contains("credentials.json"));
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }
}
