//! The composition root: builds the service from its parts and runs it. Only `backend` names a concrete store.

mod backend;
mod backup;
mod build;
mod client_keys;
mod clients;
mod dev;
mod doctor;
mod documents;
mod limits;
mod orphan;
mod repair;
mod signatures;
mod start;
mod sweep;

use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use crate::api::{ExportResponse, ImportResponse};
pub use crate::auth::NewClient;
pub(crate) use crate::backup::{BackupError, Verification};
use crate::delivery::{Follower, Worker};
use crate::dev::TurningWorker;
use crate::http::{FunctionsHost, RoutesSender, Server};
pub use crate::maintenance::{Check, CheckStatus, SweepReport};
use crate::secrets::{Credentials, SecretSource};
pub use backup::BackupStore;
use build::{Foundation, Service};
pub use client_keys::client_keys;
pub use clients::{ClientCommand, administrate_clients};
pub use dev::DevClient;
pub use doctor::{examine_endpoint, examine_secrets, examine_store};
pub use documents::GuardedFetcher;
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
    /// With a clock that can be turned.
    Turning(Box<TurningWorker>),
}

/// The service, ready to run.
pub struct App {
    server: Server,
    routes: RoutesSender,
    foundation: Foundation,
    secrets: SecretSource,
    /// The process that started this one.
    parent: u32,
    address: SocketAddr,
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
    pub fn credentials(&self) -> Option<&Credentials> {
        self.secrets.credentials()
    }

    /// Serves and delivers until `stop`, or until the Functions host that started this process is gone. Then finishes
    /// the requests and deliveries under way, within ten seconds.
    ///
    /// # Errors
    /// [`StoreLost`] if the service has stopped because its store failed for good.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreLost> {
        let Self { server, routes, foundation, secrets, parent, .. } = self;
        let given_up = foundation.backend.given_up();
        tokio::spawn({
            let (given_up, stop) = (given_up.clone(), stop.clone());
            async move {
                tokio::select! {
                    () = given_up.cancelled() => stop.cancel(),
                    () = stop.cancelled() => {}
                }
            }
        });
        foundation.backend.prepare();
        if let Some(host) = foundation.host.clone() {
            tokio::spawn(stop_when_orphaned(host, parent, stop.clone()));
        }
        let server = tokio::spawn(server.run(stop.clone()));
        let worker = match stop.run_until_cancelled(secrets.read()).await {
            Some((secrets, refresher)) => {
                if let Some(refresher) = refresher {
                    tokio::spawn(stop.clone().run_until_cancelled_owned(refresher.run()));
                }
                Some(begin(foundation.build(&secrets, &stop), routes, &stop).await)
            }
            None => None,
        };
        // It ends at the stop, or by a defect.
        let _ = server.await;
        stop.cancel();
        if let Some(worker) = worker
            && tokio::time::timeout(Self::DRAIN, worker).await.is_err()
        {
            tracing::warn!("deliveries that did not finish in time are aborted; they will be tried again");
        }
        foundation.backend.close();
        if given_up.is_cancelled() { Err(StoreLost) } else { Ok(()) }
    }
}

/// Serves all requests from now on, and delivers until the stop.
async fn begin(service: Service, routes: RoutesSender, stop: &CancellationToken) -> JoinHandle<()> {
    let Service { router, indexer, worker } = service;
    indexer.begin().await;
    routes.send(router);
    tokio::spawn(stop.clone().run_until_cancelled_owned(indexer.run()));
    let stop = stop.clone();
    tokio::spawn(async move {
        match worker {
            Some(AppWorker::Follower(follower)) => follower.run(stop).await,
            Some(AppWorker::Queue(worker)) => worker.run(stop).await,
            Some(AppWorker::Turning(worker)) => worker.run(stop).await,
            None => {}
        }
    })
}

async fn stop_when_orphaned(host: Arc<FunctionsHost>, parent: u32, stop: CancellationToken) {
    let orphaned = orphan::is_orphaned(parent, parent_id, || host.has_called());
    if stop.run_until_cancelled(orphaned).await.is_some() {
        tracing::warn!("the Functions host is gone and nobody calls; stopping");
        stop.cancel();
    }
}
