//! The rows of logins, in the table of clients.

use std::sync::Arc;

use super::{Etag, MAX_COMMIT_OPERATIONS, Operation, Partition, StoreError, Table, rows};
use crate::domain::{ClientId, EndpointHost, Grant, GrantId, Timestamp};

/// All rows of logins are in one partition. There are few: one for each login and each confirmed host of the last 90 days.
const PARTITION: Partition = Partition::new("logins");

/// Reads and changes the rows of logins in a [`Table`].
#[derive(Clone)]
pub struct LoginStore {
    table: Arc<dyn Table>,
}

impl LoginStore {
    /// The most hosts that are kept as confirmed for a client. A program that lies about its user's answers could add any
    /// number.
    const MAX_HOSTS: usize = 200;
    /// The expired rows that one commit removes, each with its expiry row.
    const REMOVED_AT_ONCE: usize = MAX_COMMIT_OPERATIONS / 2;

    /// The logins in this table.
    #[must_use]
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// Adds a grant, which is kept until a time. Returns its etag.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is a grant with this id, also if it is revoked.
    pub async fn insert(&self, id: GrantId, grant: Grant, expires: Timestamp) -> Result<Etag, StoreError> {
        first(self.insert_until(expires, rows::grant_key(id), rows::encode_grant(grant)?).await?)
    }

    /// Inserts a row with its expiry row.
    async fn insert_until(
        &self,
        expires: Timestamp,
        key: String,
        value: String,
    ) -> Result<Vec<Option<Etag>>, StoreError> {
        let (expiry_key, expiry) = rows::login_expiry(expires, &key)?;
        let operations = vec![Operation::Insert { key, value }, Operation::Insert { key: expiry_key, value: expiry }];
        Ok(self.table.commit(PARTITION, operations).await?)
    }

    /// Keeps a host as confirmed for a client until a time, if there is room. A host that is kept already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] but a conflict.
    pub async fn confirm_host(
        &self,
        client: &ClientId,
        host: &EndpointHost,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let kept = self.table.scan(PARTITION, &rows::confirmed_hosts(client), Self::MAX_HOSTS).await?;
        if kept.len() >= Self::MAX_HOSTS {
            return Ok(());
        }
        let (key, value) = (rows::confirmed_host_key(client, host), rows::encode_confirmed_host(host, until)?);
        match self.insert_until(until, key, value).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The time until which a host is confirmed for a client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn confirmed_until(
        &self,
        client: &ClientId,
        host: &EndpointHost,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = self.table.get(PARTITION, &rows::confirmed_host_key(client, host)).await?;
        row.as_ref().map(rows::decode_confirmed_host).transpose()
    }

    /// Reads a grant, with the etag that is needed to replace it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn read(&self, id: GrantId) -> Result<Option<(Grant, Etag)>, StoreError> {
        let Some(row) = self.table.get(PARTITION, &rows::grant_key(id)).await? else { return Ok(None) };
        Ok(Some((rows::decode_grant(&row)?, row.etag)))
    }

    /// Replaces a grant, if its row is still the one with this etag. Returns the next etag.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the row has changed since, or is gone.
    pub async fn replace(&self, id: GrantId, grant: Grant, read: Etag) -> Result<Etag, StoreError> {
        let (key, value) = (rows::grant_key(id), rows::encode_grant(grant)?);
        let replace = Operation::Replace { key, value, if_match: Some(read) };
        first(self.table.commit(PARTITION, vec![replace]).await?)
    }

    /// Removes groups of rows in one commit. If another process has removed one of them, each group gets a commit of
    /// its own.
    async fn remove(&self, groups: &[Vec<Operation>]) -> Result<(), StoreError> {
        match self.table.commit(PARTITION, groups.concat()).await.map_err(StoreError::from) {
            Err(StoreError::Conflict) => {}
            result => return result.map(drop),
        }
        for group in groups {
            match self.table.commit(PARTITION, group.clone()).await.map_err(StoreError::from) {
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes rows whose time is over, behind a key, in one commit. Returns the key behind which there may be more.
    ///
    /// # Errors
    /// [`StoreError`] if nothing was removed, or if it is not known.
    pub async fn remove_expired(&self, now: Timestamp, behind: Option<&str>) -> Result<Option<String>, StoreError> {
        let range = rows::expired_logins(now);
        let range = if let Some(behind) = behind { range.after(behind) } else { range };
        let page = self.table.scan(PARTITION, &range, Self::REMOVED_AT_ONCE).await?;
        let named = page.iter().filter_map(|row| Some([rows::expired_login(row)?, &*row.key]));
        let delete = |key: &str| Operation::Delete { key: key.to_owned(), if_match: None };
        let pairs: Vec<_> = named.map(|pair| pair.map(delete).to_vec()).collect();
        if !pairs.is_empty() {
            self.remove(&pairs).await?;
        }
        Ok(page.last().filter(|_| page.len() == Self::REMOVED_AT_ONCE).map(|last| last.key.clone()))
    }
}

/// The etag of the first row of a commit, which is no deletion.
fn first(etags: Vec<Option<Etag>>) -> Result<Etag, StoreError> {
    let etag = etags.into_iter().next().flatten();
    etag.ok_or_else(|| StoreError::Refused("the commit returned no etag".to_owned()))
}
