//! The composition root: builds the service from its parts and runs it. Only `backend` names a concrete store.

mod backend;
mod backup;
mod client_keys;
mod clients;
mod doctor;
mod orphan;
mod repair;
mod signatures;
mod start;
mod sweep;

use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use crate::api::{ExportResponse, ImportResponse};
pub(crate) use crate::backup::{BackupError, Verification};
use crate::delivery::{Follower, Worker};
use crate::http::{Invocations, Server};
use crate::maintenance::Indexer;
pub use crate::maintenance::{Check, CheckStatus, SweepReport};
use crate::secrets::Credentials;
use backend::Backend;
pub use backup::BackupStore;
pub use client_keys::client_keys;
pub use clients::{ClientCommand, administrate_clients};
pub use doctor::{examine_endpoint, examine_secrets, examine_store};
pub use repair::{StoreRepair, repair};
pub use start::StartError;
pub use sweep::sweep_once;

/// The store could not write for a minute, and could not be reopened.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the store could not write for a minute, and could not be reopened; the lines above say why. Nothing that was \
     acknowledged is lost: make room, or raise the limit of open files, or bring the directory back, and start again"
)]
pub struct StoreLost;

/// Delivers what is due when there is no Functions host.
enum AppWorker {
    /// On the store of this process alone.
    Follower(Follower),
    /// On a storage account.
    Queue(Worker),
}

/// The service, ready to run.
pub struct App {
    server: Server,
    /// None under the Functions host, which takes the worker's place.
    worker: Option<AppWorker>,
    /// Some under the Functions host.
    invocations: Option<Arc<Invocations>>,
    /// The process that started this one.
    parent: u32,
    indexer: Indexer,
    backend: Backend,
    address: SocketAddr,
    credentials: Option<Credentials>,
}

impl App {
    /// The longest time that deliveries may continue after the stop. A delivery that takes longer is aborted; its
    /// lease runs out, and another attempt follows.
    const DRAIN: Duration = Duration::from_secs(9);

    /// The address on which the service listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The local credentials, if the configuration has no client.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Serves and delivers until `stop`, or until the Functions host that started this process is gone. Then finishes
    /// the requests and deliveries under way, within ten seconds.
    ///
    /// # Errors
    /// [`StoreLost`] if the service has stopped because its store failed for good.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreLost> {
        let given_up = self.backend.given_up();
        tokio::spawn({
            let (given_up, stop) = (given_up.clone(), stop.clone());
            async move {
                tokio::select! {
                    () = given_up.cancelled() => stop.cancel(),
                    () = stop.cancelled() => {}
                }
            }
        });
        self.backend.prepare();
        if let Some(invocations) = self.invocations {
            let (stop, parent) = (stop.clone(), self.parent);
            tokio::spawn(async move {
                let orphaned = orphan::is_orphaned(parent, parent_id, || invocations.host.has_called());
                if stop.run_until_cancelled(orphaned).await.is_some() {
                    tracing::warn!("the Functions host is gone and nobody calls; stopping");
                    stop.cancel();
                }
            });
        }
        self.indexer.begin().await;
        tokio::spawn(stop.clone().run_until_cancelled_owned(self.indexer.run()));
        let (worker, stopped) = (self.worker, stop.clone());
        let worker = tokio::spawn(async move {
            match worker {
                Some(AppWorker::Follower(follower)) => follower.run(stopped).await,
                Some(AppWorker::Queue(worker)) => worker.run(stopped).await,
                None => {}
            }
        });
        self.server.run(stop.clone()).await;
        // The server may have ended without a stop.
        stop.cancel();
        if tokio::time::timeout(Self::DRAIN, worker).await.is_err() {
            tracing::warn!("deliveries that did not finish in time are aborted; they will be tried again");
        }
        self.backend.close();
        if given_up.is_cancelled() { Err(StoreLost) } else { Ok(()) }
    }
}
