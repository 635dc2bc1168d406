//! The limits of single clients, from their rows.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::auth::ClientDirectory;
use crate::domain::{ClientId, ClientLimits};
use crate::scheduler::LimitsOfClients;
use crate::store::StoreError;

/// The limits in the rows of clients. The check of a token has just read the same row, so it is in the cache.
pub(super) struct StoredLimits(pub(super) Arc<ClientDirectory>);

impl LimitsOfClients for StoredLimits {
    fn of<'a>(&'a self, client: &'a ClientId) -> BoxFuture<'a, Result<ClientLimits, StoreError>> {
        let find = self.0.find(client);
        async { Ok(find.await?.map(|client| client.limits.clone()).unwrap_or_default()) }.boxed()
    }
}
