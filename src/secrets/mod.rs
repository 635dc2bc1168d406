//! The first client, and the keys that sign tokens and deliveries and encrypt the store.

mod bootstrap;
mod credentials_file;
mod key_file;
mod secret_file;

pub use bootstrap::BootstrapSecrets;
pub use credentials_file::Credentials;
pub use secret_file::SecretFileError;
