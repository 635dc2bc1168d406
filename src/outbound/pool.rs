//! Idle connections, which many deliveries to one host share.
//!
//! The egress guard checked a connection when it was opened, and the peer of a connection does not change, so the guard
//! need not check it again. An idle connection is kept for one and a half seconds: longer than the pauses between deliveries
//! that are due together, or each second, and shorter than the keep-alive of usual servers, so that the peer rarely closes it
//! at the moment of its next use. A host that does so all the same gets a new connection for each request from then on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::{Origin, Url};

use super::Addresses;
use super::connection::Connection;
use crate::sync::lock;

/// Idle connections by the origin of their URL.
#[derive(Clone)]
pub struct Pool {
    idle: Arc<Mutex<Idle>>,
    max: usize,
}

#[derive(Default)]
struct Idle {
    connections: HashMap<Origin, Vec<(Connection, Instant)>>,
    /// The origins that closed a connection at its next use, and the time of that.
    avoided: HashMap<Origin, Instant>,
    /// Whether the task that closes expired connections is running.
    evicting: bool,
}

impl Pool {
    /// The longest time that a connection is kept idle.
    const MAX_IDLE: Duration = Duration::from_millis(1500);
    /// The age after which a connection is not kept, so that the host name is looked up again.
    const MAX_AGE: Duration = Duration::from_mins(1);
    /// The time for which connections to an origin are not kept after it closed one at its next use.
    const AVOIDED_FOR: Duration = Duration::from_mins(10);
    /// The most origins that are remembered for that reason.
    const MAX_AVOIDED: usize = 10_000;

    /// The addresses to which an idle connection to the origin of a URL was opened, if there is one.
    pub fn addresses(&self, url: &Url) -> Option<Addresses> {
        let idle = lock(&self.idle);
        let (connection, since) = idle.connections.get(&url.origin())?.last()?;
        (connection.is_open() && since.elapsed() < Self::MAX_IDLE).then(|| connection.addresses.clone())
    }

    /// A pool that keeps up to `max` connections.
    pub fn new(max: usize) -> Self {
        Self { idle: Arc::default(), max }
    }

    /// Takes the most recently used connection to the origin of a URL.
    pub fn take(&self, url: &Url) -> Option<Connection> {
        let mut idle = lock(&self.idle);
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
        let mut idle = lock(&self.idle);
        let origin = url.origin();
        let is_avoided = idle.avoided.get(&origin).is_some_and(|since| since.elapsed() < Self::AVOIDED_FOR);
        if is_avoided || idle.connections.values().map(Vec::len).sum::<usize>() >= self.max {
            return;
        }
        idle.connections.entry(origin).or_default().push((connection, Instant::now()));
        if !std::mem::replace(&mut idle.evicting, true) {
            tokio::spawn(self.clone().evict_idle());
        }
    }

    /// Remembers that the origin of a URL closed a connection at its next use. Its other idle connections are closed.
    pub fn avoid(&self, url: &Url) {
        let mut idle = lock(&self.idle);
        let origin = url.origin();
        idle.connections.remove(&origin);
        if idle.avoided.len() >= Self::MAX_AVOIDED {
            idle.avoided.retain(|_, since| since.elapsed() < Self::AVOIDED_FOR);
        }
        if idle.avoided.len() < Self::MAX_AVOIDED {
            idle.avoided.insert(origin, Instant::now());
        }
    }

    /// Closes expired connections, until there are no idle connections.
    async fn evict_idle(self) {
        loop {
            sleep(Self::MAX_IDLE).await;
            let mut idle = lock(&self.idle);
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

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_used_each_second_is_kept_and_one_that_is_idle_for_longer_is_not() {
        let (near, _far) = duplex(64);
        let addresses = Addresses::new(&[([127, 0, 0, 1], 80).into()]).unwrap();
        let mut connection = Connection::start(Box::new(near), addresses).await.unwrap();
        let (pool, url) = (Pool::new(1), Url::parse("http://127.0.0.1/").unwrap());
        for _ in 0..3 {
            assert!(connection.is_ready_again().await);
            pool.put(&url, connection);
            sleep(Duration::from_millis(1400)).await;
            connection = pool.take(&url).unwrap();
        }
        pool.put(&url, connection);
        sleep(Duration::from_millis(1600)).await;
        assert!(pool.take(&url).is_none());
    }
}
