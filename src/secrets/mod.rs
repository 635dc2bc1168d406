//! The first client, and the keys that sign tokens and deliveries and encrypt the store.
//!
//! They come from the settings (`bootstrap`), from files that the first start makes (`credentials_file`, `key_file`), or from
//! a Key Vault (`vault_secrets`), which can change them while the service runs.

mod bootstrap;
mod credentials_file;
mod key_file;
mod key_vault;
mod secret_file;
mod source;
mod vault_secret;
mod vault_secrets;

pub use bootstrap::BootstrapSecrets;
pub use credentials_file::Credentials;
pub use key_vault::{KeyVault, SecretStore, VaultError, VaultSetupError};
pub use secret_file::SecretFileError;
pub use source::{SecretSource, SecretSourceError, Secrets};
pub use vault_secrets::{Refresher, VaultSecrets};
