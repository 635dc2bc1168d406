//! The table of clients.

use std::sync::Arc;

use super::rows::{self, ClientRow};
use super::{Operation, Partition, StoreError, Table};
use crate::domain::{ClientId, Scopes, Timestamp};

/// All clients are in one partition, because there are few of them and they are read rarely: callers cache them.
const PARTITION: Partition = Partition::new("clients");

/// A stored client. Its API keys are stored only as hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The id with which the client authenticates.
    pub id: ClientId,
    /// The hashes of its API keys. There are two while one is being replaced.
    pub key_hashes: Vec<String>,
    /// The scopes of the client. They limit the scopes of its tokens.
    pub scopes: Scopes,
    /// A disabled client gets no token, and its tokens are refused.
    pub disabled: bool,
    /// Tokens that were issued before this time are refused.
    pub tokens_valid_from: Option<Timestamp>,
}

/// Reads and adds clients in a [`Table`].
#[derive(Clone)]
pub struct ClientStore {
    table: Arc<dyn Table>,
}

impl ClientStore {
    /// The clients in this table.
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
    /// [`StoreError::Conflict`] if a client with this id exists.
    pub async fn insert(&self, client: &Client) -> Result<(), StoreError> {
        let insert = Operation::Insert { key: client.id.to_string(), value: rows::encode(&ClientRow::from(client))? };
        Ok(self.table.commit(PARTITION, vec![insert]).await.map(drop)?)
    }
}
