//! Who is calling: API keys, the tokens they are exchanged for, and a limit on guesses.

mod api_key;
mod authenticator;
mod client_directory;
mod crypto;
mod keys;
mod login_throttle;
mod token;

pub use api_key::{ApiKey, InvalidApiKey, hash_key};
pub use authenticator::{AuthError, Authenticator, IssuedToken, Principal, TokenGrant};
pub use client_directory::ClientDirectory;
pub use keys::{InvalidSigningKeys, SigningKeys};
pub use token::TokenSettings;
