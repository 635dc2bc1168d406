//! The signatures that each client has chosen, for deliveries.

use std::sync::Arc;

use async_trait::async_trait;

use crate::auth::ClientDirectory;
use crate::delivery::SignatureChoice;
use crate::domain::{ClientId, Signatures};

/// Reads the choice of a client from the directory, where it may be a minute old.
pub(super) struct ChosenSignatures(pub(super) Arc<ClientDirectory>);

#[async_trait]
impl SignatureChoice for ChosenSignatures {
    async fn signatures(&self, client: &ClientId) -> Signatures {
        match self.0.find(client).await {
            Ok(found) => found.map(|client| client.signatures).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(client.id = %client, %error, "the client cannot be read, so its delivery has all signatures");
                Signatures::default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scopes;
    use crate::store::{Client, ClientStore};
    use crate::testing::{Fault, Faults, SimulatedTable};

    struct Down;

    impl Faults for Down {
        fn next(&self) -> Fault {
            Fault::Refused
        }
    }

    fn id(name: &str) -> ClientId {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_client_has_what_its_row_says_and_all_signatures_if_nobody_knows() {
        let store = ClientStore::new(Arc::new(SimulatedTable::new(())));
        let scopes = Scopes::all();
        let anna = Client { signatures: Signatures::V1, ..Client::without_keys(id("anna"), scopes) };
        store.insert(&anna).await.unwrap();
        store.insert(&Client::without_keys(id("ben"), scopes)).await.unwrap();
        let chosen = ChosenSignatures(Arc::new(ClientDirectory::new(None, store)));
        assert_eq!(chosen.signatures(&id("anna")).await, Signatures::V1);
        for name in ["ben", "nobody"] {
            assert_eq!(chosen.signatures(&id(name)).await, Signatures::V1AndV1a, "{name}");
        }
        let down = ClientStore::new(Arc::new(SimulatedTable::new(Down)));
        let chosen = ChosenSignatures(Arc::new(ClientDirectory::new(None, down)));
        assert_eq!(chosen.signatures(&id("anna")).await, Signatures::V1AndV1a);
    }
}
