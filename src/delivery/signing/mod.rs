//! Signatures with which a receiver checks that a delivery is from this service and for its own client: Standard
//! Webhooks, versions `v1` (HMAC-SHA256 with a secret) and `v1a` (ed25519 with a public key).
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! `secrets` has the master secrets of the setting. `client_keys` has the keys of one client, which are derived from the
//! masters, and signs with them. `public_key` is the form in which receivers get a public key. `signer` keeps the derived
//! keys in memory. `verifier` does what a receiver does with a signature. `choice` says which signatures the deliveries of a client carry.

mod choice;
mod client_keys;
mod public_key;
mod secrets;
mod signer;
mod verifier;

pub(super) use choice::AllSignatures;
pub use choice::SignatureChoice;
pub use client_keys::ClientKeys;
pub use public_key::PublicKey;
pub(super) use secrets::sign_with;
pub use secrets::{InvalidSigningSecrets, SigningSecrets, subscriber_secret};
pub use signer::Signer;
pub use verifier::{Unverified, Verifier};
