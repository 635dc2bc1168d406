//! The choice of signatures.

use async_trait::async_trait;

use crate::domain::{ClientId, Signatures};

/// Knows which signatures the deliveries of each client carry.
#[async_trait]
pub trait SignatureChoice: Send + Sync + 'static {
    /// The signatures of a client. If they cannot be read, a delivery has all of them: nobody rejects one too many.
    async fn signatures(&self, client: &ClientId) -> Signatures;
}

/// All signatures for every client.
pub(in crate::delivery) struct AllSignatures;

#[async_trait]
impl SignatureChoice for AllSignatures {
    async fn signatures(&self, _: &ClientId) -> Signatures {
        Signatures::default()
    }
}
