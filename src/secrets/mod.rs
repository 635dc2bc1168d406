//! The first client, and the keys that sign tokens and deliveries.

mod bootstrap;
mod credentials_file;
mod secret_file;
mod signing_file;

pub use bootstrap::BootstrapSecrets;
pub use credentials_file::Credentials;
pub use secret_file::SecretFileError;
