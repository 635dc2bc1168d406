//! Idle connections, which many deliveries to one host share.
//!
//! The egress guard checked a connection when it was opened, and the peer of a connection does not change, so the guard
//! need not check it again. An idle connection is kept for one second: longer than the pauses between deliveries that
//! are due together, and shorter than the keep-alive of usual servers, so that the peer rarely closes it at the moment
//! of its next use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::{Origin, Url};

use super::connection::Connection;
use crate::sync::lock;

/// Idle connections by the origin of their URL.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Idle>>);

#[derive(Default)]
struct Idle {
    connections: HashMap<Origin, Vec<(Connection, Instant)>>,
    /// Whether the task that closes expired connections is running.
    evicting: bool,
}

impl Pool {
    /// The longest time that a connection is kept idle.
    const MAX_IDLE: Duration = Duration::from_secs(1);
    /// The age after which a connection is not kept, so that the host name is looked up again.
    const MAX_AGE: Duration = Duration::from_mins(1);

    /// Takes the most recently used connection to the origin of a URL.
    pub fn take(&self, url: &Url) -> Option<Connection> {
        let mut idle = lock(&self.0);
        let connections = idle.connections.get_mut(&url.origin())?;
        while let Some((connection, since)) = connections.pop() {
            if connection.is_open() && since.elapsed() < Self::MAX_IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last response was complete and valid.
    pub fn put(&self, url: &Url, connection: Connection) {
        if connection.since.elapsed() >= Self::MAX_AGE {
            return;
        }
        let mut idle = lock(&self.0);
        idle.connections.entry(url.origin()).or_default().push((connection, Instant::now()));
        if !std::mem::replace(&mut idle.evicting, true) {
            tokio::spawn(self.clone().evict_idle());
        }
    }

    /// Closes expired connections, until there are no idle connections.
    async fn evict_idle(self) {
        loop {
            sleep(Self::MAX_IDLE).await;
            let mut idle = lock(&self.0);
            idle.connections.retain(|_, connections| {
                connections.retain(|(connection, since)| connection.is_open() && since.elapsed() < Self::MAX_IDLE);
                !connections.is_empty()
            });
            if idle.connections.is_empty() {
                idle.evicting = false;
                return;
            }
        }
    }
}
