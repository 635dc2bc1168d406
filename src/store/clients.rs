//! The table of clients.

use std::sync::Arc;

use super::rows::{self, ClientRow, ExportLine, RowValue};
use super::{Etag, Exported, KeyRange, Operation, Partition, StoreError, Table};
use crate::domain::{ClientId, ClientLimits, RedirectUri, Scopes, Signatures, Timestamp};

/// All clients are in one partition, because there are few of them and they are read rarely: callers cache them.
const PARTITION: Partition = Partition::new("clients");

/// A stored client. Its API keys are stored only as hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The id with which the client authenticates.
    pub id: ClientId,
    /// The hashes of its API keys, the newest first. There are two while one is being replaced.
    pub key_hashes: Vec<String>,
    /// The scopes of the client. They limit the scopes of its tokens.
    pub scopes: Scopes,
    /// The signatures of its deliveries.
    pub signatures: Signatures,
    /// The addresses to which a login by this client's id returns the browser. Without any, its id begins no login.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may schedule.
    pub limits: ClientLimits,
    /// A disabled client gets no token, and its tokens are refused.
    pub disabled: bool,
    /// Tokens that were issued before this time are refused.
    pub tokens_valid_from: Option<Timestamp>,
    /// The time at which it was added. Earlier releases did not record it.
    pub created: Option<Timestamp>,
    /// The time at which it last got another key.
    pub rotated: Option<Timestamp>,
}

impl Client {
    /// A client that cannot log in, because it has no key.
    #[must_use]
    pub const fn without_keys(id: ClientId, scopes: Scopes) -> Self {
        let key_hashes = Vec::new();
        let signatures = Signatures::V1AndV1a;
        Self {
            id,
            key_hashes,
            scopes,
            signatures,
            redirect_uris: Vec::new(),
            limits: ClientLimits::none(),
            disabled: false,
            tokens_valid_from: None,
            created: None,
            rotated: None,
        }
    }

    /// Whether a token that was issued then, in seconds since 1970, is still accepted.
    #[must_use]
    pub fn accepts_token_of(&self, issued: i64) -> bool {
        !self.disabled && self.tokens_valid_from.is_none_or(|from| issued >= from.as_secs())
    }
}

/// Reads and changes clients in a [`Table`].
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
        Ok(self.read(id).await?.map(|(client, _)| client))
    }

    /// Reads a client, with the etag that is needed to replace it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn read(&self, id: &ClientId) -> Result<Option<(Client, Etag)>, StoreError> {
        let Some(row) = self.table.get(PARTITION, id.as_str()).await? else { return Ok(None) };
        let client = rows::decode::<ClientRow>(&row)?.into();
        Ok(Some((client, row.etag)))
    }

    /// Reads up to `limit` clients behind an id, in the order of their ids. A row that cannot be read is passed over, so that
    /// it does not hide the others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, StoreError> {
        let all = KeyRange::prefix("");
        let mut range = if let Some(after) = after { all.after(after.as_str()) } else { all };
        let mut clients = Vec::new();
        while clients.len() < limit {
            let wanted = limit - clients.len();
            let page = self.table.scan(PARTITION, &range, wanted).await?;
            let is_last = page.len() < wanted;
            for row in page {
                range = range.after(&row.key);
                match rows::decode::<ClientRow>(&row) {
                    Ok(client) => clients.push(client.into()),
                    Err(error) => tracing::warn!(%error, "client not listed"),
                }
            }
            if is_last {
                break;
            }
        }
        Ok(clients)
    }

    /// Exports up to `limit` clients behind a key. A row that cannot be read is among the unreadable ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn export(&self, behind: Option<&str>, limit: usize) -> Result<Exported, StoreError> {
        let all = KeyRange::prefix("");
        let range = if let Some(behind) = behind { all.after(behind) } else { all };
        let page = self.table.scan(PARTITION, &range, limit).await?;
        let last = page.last().filter(|_| page.len() == limit).map(|last| last.key.clone());
        let mut exported = Exported { last, ..Exported::default() };
        for row in page {
            exported.add(rows::decode::<ClientRow>(&row).map(|_| Some(ExportLine::Client(RowValue(row.value)))))?;
        }
        Ok(exported)
    }

    /// Adds a client.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a client with this id exists.
    pub async fn insert(&self, client: &Client) -> Result<(), StoreError> {
        let insert = Operation::Insert { key: client.id.to_string(), value: rows::encode(&ClientRow::from(client))? };
        Ok(self.table.commit(PARTITION, vec![insert]).await.map(drop)?)
    }

    /// Replaces a client, if its row is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the row has changed since.
    pub async fn replace(&self, client: &Client, read: Etag) -> Result<(), StoreError> {
        let (key, value) = (client.id.to_string(), rows::encode(&ClientRow::from(client))?);
        let replace = Operation::Replace { key, value, if_match: Some(read) };
        Ok(self.table.commit(PARTITION, vec![replace]).await.map(drop)?)
    }
}
