//! One secret that a setting has, or a Key Vault, where it can change.

use tokio::sync::watch;

use super::key_vault::{SecretStore, VaultError};
use crate::current::Current;
use crate::domain::Secret;

/// One secret of the type `T`.
pub(super) struct VaultSecret<T> {
    /// The name in the vault.
    name: &'static str,
    /// Reads the text, or returns the problem, which must not contain the text.
    parse: fn(&str) -> Result<T, String>,
    origin: Origin,
    /// The current value. `None` before the first reading.
    value: Option<watch::Sender<T>>,
}

enum Origin {
    /// A setting has the secret. It wins, and the vault is not asked.
    Setting,
    /// The vault has it: the text of the current value.
    Vault(Option<Secret<String>>),
}

/// The reason why a secret was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("its text in the vault {0}")]
    Form(String),
}

impl<T: Clone + Send + Sync + 'static> VaultSecret<T> {
    /// The secret of a setting, or else the one with this name in the vault.
    pub(super) fn new(name: &'static str, setting: Option<&T>, parse: fn(&str) -> Result<T, String>) -> Self {
        let value = setting.map(|value| watch::channel(value.clone()).0);
        let origin = if value.is_some() { Origin::Setting } else { Origin::Vault(None) };
        Self { name, parse, origin, value }
    }

    /// Reads the secret, unless a setting has it. A failure keeps the value. Returns whether the value has changed.
    pub(super) async fn refresh(&mut self, store: &dyn SecretStore) -> Result<bool, (&'static str, Failure)> {
        let Origin::Vault(before) = &self.origin else { return Ok(false) };
        let text = store.get(self.name).await.map_err(|error| (self.name, error.into()))?;
        if before.as_ref().is_some_and(|before| before.expose() == text.expose()) {
            return Ok(false);
        }
        let value = (self.parse)(text.expose().trim()).map_err(|problem| (self.name, Failure::Form(problem)))?;
        if let Some(current) = &self.value {
            current.send_replace(value);
            tracing::info!(
                secret = self.name,
                "the secret was changed in the vault; the new value is used from now on"
            );
        } else {
            self.value = Some(watch::channel(value).0);
        }
        self.origin = Origin::Vault(Some(text));
        Ok(true)
    }

    /// The value of this moment.
    pub(super) fn value(&self) -> Option<T> {
        self.value.as_ref().map(|value| value.borrow().clone())
    }

    /// The value, which follows each change.
    pub(super) fn current(&self) -> Option<Current<T>> {
        self.value.as_ref().map(|value| value.subscribe().into())
    }
}
