//! The login of a user in a browser: OAuth 2.1 with PKCE, by which a program that knows only the address of the service
//! gets a token (docs/decisions/0020-login.md).
//!
//! A *program* is what OAuth calls the client: an agent on somebody's machine. The user lets it act for one of the
//! clients of this service. Requests, codes, refresh tokens and the ids of programs are sealed (`seal`), so the store
//! has one row for each login, its grant.
//!
//! A program also carries questions of its user and their answers (`confirmations`).

mod confirmations;
mod document;
mod parameters;
mod program;
mod redeem;
mod registration;
mod request;
mod seal;
mod sealed;
mod service;
mod sign_in;

pub use confirmations::Confirmations;
pub use document::Documents;
pub use parameters::{Parameters, UnknownResource};
pub use program::Program;
pub use redeem::{GrantError, Presenter, Tokens};
pub use registration::{InvalidMetadata, Registered, Registration};
pub use request::{AuthorizationRequest, Refused};
pub use seal::Seals;
pub use service::{Consent, Decided, Decision, Logins, TryAgain};
