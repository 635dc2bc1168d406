//! The keys that sign tokens and deliveries and encrypt the store on a laptop without configuration. They are not kept
//! beside the API key: a lost API key can be replaced, but with other signing keys all tokens end and every receiver needs
//! another secret, and with another encryption key the conversations in the store cannot be delivered.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Credentials;
use super::secret_file::{self, SecretFileError};
use crate::auth::SigningKeys;
use crate::delivery::SigningSecrets;
use crate::domain::Secret;
use crate::json::secret;
use crate::store::EncryptionKeys;
use crate::time::Entropy;

const FILE: &str = "secrets.json";
const REMEDY: &str = "restore it from a backup; without it, all tokens end, every receiver needs another secret, and what is \
                      encrypted in the store is lost";

/// The content of the file: the settings of the same name, as far as the configuration lacks them.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::optional")]
    jwt_signing_keys: Option<Secret<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::optional")]
    webhook_signing_secrets: Option<Secret<String>>,
    /// Added after the first release.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::optional")]
    data_encryption_keys: Option<Secret<String>>,
}

/// The file of the keys.
pub(super) struct KeyFile<'a> {
    path: PathBuf,
    content: Content,
    /// Whether a part of the content is not in the file yet.
    changed: bool,
    /// Whether an earlier start had credentials, so that a missing signing key was lost.
    used_before: bool,
    /// Whether all keys of an earlier start are missing, so that its encryption key was lost, too. The first release had none.
    lost_all: bool,
    entropy: &'a dyn Entropy,
}

impl<'a> KeyFile<'a> {
    /// Reads the file, and what it lacks from the file of an earlier release.
    pub(super) fn open(dir: &Path, entropy: &'a dyn Entropy) -> Result<Self, SecretFileError> {
        let path = dir.join(FILE);
        let mut content = secret_file::read::<Content>(&path, REMEDY)?.unwrap_or_default();
        let (mut changed, mut used_before) = (false, false);
        if content.jwt_signing_keys.is_none() || content.webhook_signing_secrets.is_none() {
            let earlier = Credentials::earlier_keys(dir)?;
            used_before = earlier.is_some();
            let earlier = earlier.unwrap_or_default();
            changed |= fill(&mut content.jwt_signing_keys, earlier.jwt_signing_keys);
            changed |= fill(&mut content.webhook_signing_secrets, earlier.webhook_signing_secrets);
        }
        let has_keys = content.jwt_signing_keys.is_some() || content.webhook_signing_secrets.is_some();
        Ok(Self { path, content, changed, used_before, lost_all: used_before && !has_keys, entropy })
    }

    /// The keys that sign tokens, generated if there are none.
    pub(super) fn signing_keys(&mut self) -> Result<SigningKeys, SecretFileError> {
        if self.content.jwt_signing_keys.is_none() {
            let consequence = "tokens that were issued before are not valid any more";
            self.generating("JWT_SIGNING_KEYS", self.used_before, consequence);
            self.content.jwt_signing_keys = Some(SigningKeys::generate(self.entropy));
        }
        self.parse(self.content.jwt_signing_keys.as_ref())
    }

    /// The secrets that sign deliveries, generated if there are none.
    pub(super) fn signing_secrets(&mut self) -> Result<SigningSecrets, SecretFileError> {
        if self.content.webhook_signing_secrets.is_none() {
            self.generating(
                "WEBHOOK_SIGNING_SECRETS",
                self.used_before,
                "give the new secrets of each client to its receivers",
            );
            self.content.webhook_signing_secrets = Some(SigningSecrets::generate(self.entropy));
        }
        self.parse(self.content.webhook_signing_secrets.as_ref())
    }

    /// The keys that encrypt the secrets in the store, generated if there are none.
    pub(super) fn encryption_keys(&mut self) -> Result<EncryptionKeys, SecretFileError> {
        if self.content.data_encryption_keys.is_none() {
            let consequence = "what was encrypted before cannot be delivered until the file is restored from a backup";
            self.generating("DATA_ENCRYPTION_KEYS", self.lost_all, consequence);
            self.content.data_encryption_keys = Some(EncryptionKeys::generate(self.entropy));
        }
        self.parse(self.content.data_encryption_keys.as_ref())
    }

    /// The secrets that sign deliveries, if an earlier start has generated them.
    pub(super) fn existing_signing_secrets(&self) -> Result<Option<SigningSecrets>, SecretFileError> {
        let secrets = self.content.webhook_signing_secrets.as_ref();
        secrets.map(|secrets| self.parse(Some(secrets))).transpose()
    }

    /// Writes the file, if a part of the content is new.
    pub(super) fn save(&self) -> Result<(), SecretFileError> {
        if self.changed { secret_file::write(&self.path, &self.content) } else { Ok(()) }
    }

    fn generating(&mut self, what: &str, was_lost: bool, consequence: &str) {
        self.changed = true;
        if was_lost {
            let path = self.path.display();
            tracing::warn!("{path} has no {what}, so new ones were generated: {consequence}");
        }
    }

    fn parse<T: std::str::FromStr>(&self, text: Option<&Secret<String>>) -> Result<T, SecretFileError> {
        let value = text.and_then(|text| text.expose().parse().ok());
        value.ok_or_else(|| SecretFileError::Damaged { path: self.path.clone(), remedy: REMEDY })
    }
}

/// Sets a missing value. Returns whether it has been set.
fn fill<T>(value: &mut Option<T>, other: Option<T>) -> bool {
    let fills = value.is_none() && other.is_some();
    if fills {
        *value = other;
    }
    fills
}
