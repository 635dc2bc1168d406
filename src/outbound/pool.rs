//! Connections that are open and have nothing to do: a herd of deliveries to one host shares them.
//!
//! A connection was vetted when it was made and keeps its other end, so to use it again needs no new verdict.
//! It is kept for a second only: longer than any pause within a herd, shorter than the keep-alive of any
//! usual server, so that it is rarely closed by the other side in the moment in which it is used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::{Origin, Url};

use super::connection::Connection;

/// Idle connections by the origin that they lead to.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Idle>>);

#[derive(Default)]
struct Idle {
    connections: HashMap<Origin, Vec<(Connection, Instant)>>,
    /// Whether a task is there that closes what has been idle for too long.
    evicting: bool,
}

impl Pool {
    /// How long a connection is kept with nothing to do.
    const MAX_IDLE: Duration = Duration::from_secs(1);
    /// How old a connection may become: then the name is looked up again.
    const MAX_AGE: Duration = Duration::from_mins(1);

    /// A connection to the origin of a URL, the one used last.
    pub fn take(&self, url: &Url) -> Option<Connection> {
        let mut idle = self.lock();
        let connections = idle.connections.get_mut(&url.origin())?;
        while let Some((connection, since)) = connections.pop() {
            if connection.is_open() && since.elapsed() < Self::MAX_IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was whole and without fault.
    pub fn put(&self, url: &Url, connection: Connection) {
        if connection.since.elapsed() >= Self::MAX_AGE {
            return;
        }
        let mut idle = self.lock();
        idle.connections.entry(url.origin()).or_default().push((connection, Instant::now()));
        if !std::mem::replace(&mut idle.evicting, true) {
            tokio::spawn(self.clone().evict_idle());
        }
    }

    /// Closes what nobody has come back for, until nothing is left.
    async fn evict_idle(self) {
        loop {
            sleep(Self::MAX_IDLE).await;
            let mut idle = self.lock();
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

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
