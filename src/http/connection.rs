//! The connections of the server, and whom each one counts for.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::budget::{Budgets, Owner, Share};
use crate::auth::{Source, TrustedProxies};
use crate::domain::ClientId;
use crate::sync::lock;

/// The memory for bodies that have arrived in part, in bytes: for callers that have not authenticated, and for clients.
const BODY_BYTES: (usize, usize) = (4 * 1024 * 1024, 32 * 1024 * 1024);

/// What all connections of a server share.
pub(super) struct ConnectionLimits {
    connections: Budgets,
    bodies: Budgets,
    trusted_proxies: TrustedProxies,
}

impl ConnectionLimits {
    /// Half of the connections are for callers that have not authenticated, and half for clients.
    pub(super) fn new(max_connections: usize, trusted_proxies: TrustedProxies) -> Self {
        let half = max_connections / 2;
        let bodies = Budgets::new(BODY_BYTES.0, BODY_BYTES.1);
        Self { connections: Budgets::new(half, half), bodies, trusted_proxies }
    }
}

/// An open connection.
#[derive(Clone)]
pub(super) struct Connection {
    limits: Arc<ConnectionLimits>,
    peer: IpAddr,
    share: Arc<Mutex<Share>>,
    gives_way: CancellationToken,
}

impl Connection {
    pub(super) fn open(limits: Arc<ConnectionLimits>, peer: IpAddr) -> Self {
        let gives_way = CancellationToken::new();
        let owner = Owner::anonymous(limits.trusted_proxies.source(peer, std::iter::empty()));
        let share = Arc::new(Mutex::new(limits.connections.share(owner, 1, gives_way.clone())));
        Self { limits, peer, share, gives_way }
    }

    /// Ends when the connection has to give way to another one.
    pub(super) async fn gives_way(self) {
        self.gives_way.cancelled().await;
    }

    /// Counts the connection for the client that has authenticated on it. Of the connections of a client, the one that
    /// it has not used for the longest time gives way first. Requests without authentication do not count as use.
    pub(super) fn belongs_to(&self, client: &ClientId) {
        let mut share = lock(&self.share);
        if matches!(share.owner(), Owner::Client(owner) if owner == client) {
            share.renew();
        } else {
            *share = self.limits.connections.share(Owner::Client(client.clone()), 1, self.gives_way.clone());
        }
    }

    /// The source of a request with these headers.
    pub(super) fn source(&self, headers: &HeaderMap) -> Source {
        let forwarded_for = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        self.limits.trusted_proxies.source(self.peer, forwarded_for)
    }

    /// Takes memory for a part of a body.
    pub(super) fn body_share(&self, owner: Owner, bytes: usize, gives_way: CancellationToken) -> Share {
        self.limits.bodies.share(owner, bytes, gives_way)
    }
}
