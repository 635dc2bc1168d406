//! The first client and the keys that tokens and deliveries are signed with.

mod bootstrap;
mod credentials_file;

pub use bootstrap::BootstrapSecrets;
pub use credentials_file::{Credentials, CredentialsError};
