//! Authentication: API keys, the tokens that they are exchanged for, scopes, and a limit on wrong keys.

mod accepted_keys;
mod api_key;
mod authenticator;
mod client_admin;
mod client_directory;
mod crypto;
mod document_fetcher;
mod foreign_tokens;
mod keys;
mod login_throttle;
mod sign_in;
mod source;
mod token;
mod trusted_issuers;

pub use api_key::{ApiKey, InvalidApiKey, client_with_key, hash_key};
pub use authenticator::{AuthError, Authenticator, IssuedToken, Principal, TokenGrant};
pub use client_admin::{ClientAdmin, ClientAdminError, ClientPage, ClientRecord, NewClient, NewKey};
pub use client_directory::ClientDirectory;
pub use document_fetcher::DocumentFetcher;
pub use keys::SigningKeys;
pub use sign_in::{PendingSignIn, SignIn, SignInError, SignInIssuer};
pub use source::{Source, TrustedProxies};
pub use token::TokenSettings;
pub use trusted_issuers::{TrustedIssuer, TrustedIssuers};
