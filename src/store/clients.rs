//! Who may call: the clients table.

use std::sync::Arc;

use super::rows::{self, ClientRow};
use super::{Operation, Partition, StoreError, Table};
use crate::domain::{ClientId, Scopes, Timestamp};

/// All clients live in one partition: there are few, and callers keep what they read.
const PARTITION: Partition = Partition::new("clients");

/// A client as it is stored. Its keys are kept as hashes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its name.
    pub id: ClientId,
    /// The hashes of its API keys; two while one is being replaced.
    pub key_hashes: Vec<String>,
    /// What it may do at the most, whatever its tokens say.
    pub scopes: Scopes,
    /// A disabled client gets no token, and those it has are refused.
    pub disabled: bool,
    /// Tokens issued before this instant are refused.
    pub tokens_valid_from: Option<Timestamp>,
}

/// Clients in a [`Table`].
#[derive(Clone)]
pub struct ClientStore {
    table: Arc<dyn Table>,
}

impl ClientStore {
    /// Clients in this table.
    #[must_use]
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// Reads a client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn get(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        let row = self.table.get(PARTITION, id.as_str()).await?;
        row.map(|row| rows::decode::<ClientRow>(&row).map(Client::from)).transpose()
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of that name.
    pub async fn insert(&self, client: &Client) -> Result<(), StoreError> {
        let insert = Operation::Insert { key: client.id.to_string(), value: rows::encode(&ClientRow::from(client))? };
        Ok(self.table.commit(PARTITION, vec![insert]).await.map(drop)?)
    }
}
