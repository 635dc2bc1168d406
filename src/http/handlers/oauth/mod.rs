//! The operations of OAuth: `authorize`, `submitAuthorization` and `completeSignIn` (the page on which a user lets a program
//! in), `issueOauthToken`, `revokeOauthToken` and `registerOauthClient`.

pub(in crate::http) mod authorize;
mod credentials;
mod page;
mod refusal;
pub(in crate::http) mod register;
pub(in crate::http) mod revoke;
pub(in crate::http) mod sign_in;
pub(in crate::http) mod token;

pub(in crate::http) use refusal::ErrorResponse;

/// The largest body, in bytes. A form of the page carries the whole request, and a program's id can have 2 KiB.
pub(in crate::http) const BODY_LIMIT: usize = 16 * 1024;
