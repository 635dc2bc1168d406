//! File descriptors: the limit of this process, and how the parts of the service share it.

use rustix::process::{Resource, getrlimit, setrlimit};

/// How many file descriptors each part of the service may use, so that none of them takes those of another.
///
/// Connections of clients get what the store and the deliveries leave. So no number of connections can stop the store
/// from opening its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit of the process.
    pub limit: usize,
    /// Connections that clients opened.
    pub connections: usize,
    /// Exchanges with endpoints that are under way at one time.
    pub exchanges: usize,
    /// Connections to endpoints that are kept for the next exchange.
    pub idle_connections: usize,
    /// Files of the embedded store that it keeps open.
    pub store_files: usize,
}

impl Descriptors {
    /// The limit that the service asks for. More would serve nothing: the shares below are at their maximum.
    const WANTED: usize = 16_384;
    /// For everything that has no share: listeners, the runtime, and the files that the store opens for a flush or a
    /// compaction.
    const RESERVE: usize = 64;
    const MAX_CONNECTIONS: usize = 8192;
    const MAX_EXCHANGES: usize = 2048;
    const MAX_STORE_FILES: usize = 256;

    /// Raises the limit of this process as far as it needs and may, and divides it.
    #[must_use]
    pub fn raise() -> Self {
        let mut limits = getrlimit(Resource::Nofile);
        let wanted = u64::try_from(Self::WANTED).unwrap_or(u64::MAX);
        let allowed = limits.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        if limits.current.is_some_and(|current| current < allowed) {
            limits.current = Some(allowed);
            // No limit above the hard one is asked for. A sandbox may still refuse it; then the present limit counts.
            let _ = setrlimit(Resource::Nofile, limits);
        }
        let shares = Self::of(getrlimit(Resource::Nofile).current.and_then(|n| usize::try_from(n).ok()));
        if shares.exchanges < Self::MAX_EXCHANGES {
            tracing::warn!(
                limit = shares.limit,
                connections = shares.connections,
                deliveries = shares.exchanges,
                "the limit of open files is low, so fewer connections and deliveries are open at one time; raise it with \
                 `ulimit -n 16384`, LimitNOFILE= or --ulimit nofile="
            );
        }
        shares
    }

    /// Divides a limit. `None` means that there is no limit.
    fn of(limit: Option<usize>) -> Self {
        let limit = limit.unwrap_or(Self::WANTED);
        let store_files = (limit / 8).clamp(16, Self::MAX_STORE_FILES);
        // A look-up of a name needs descriptors too, so an exchange counts twice.
        let exchanges = (limit / 8).clamp(8, Self::MAX_EXCHANGES);
        let idle_connections = exchanges / 2;
        let others = Self::RESERVE + store_files + 2 * exchanges + idle_connections;
        let connections = limit.saturating_sub(others).clamp(8, Self::MAX_CONNECTIONS);
        Self { limit, connections, exchanges, idle_connections, store_files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_and_the_reserve_fit_into_every_usable_limit() {
        for limit in [128, 192, 256, 257, 1000, 1024, 4096, 16_384, 1 << 20, 1 << 30] {
            let shares = Descriptors::of(Some(limit));
            let all = shares.connections + 2 * shares.exchanges + shares.idle_connections + shares.store_files;
            assert!(all + Descriptors::RESERVE <= limit, "{shares:?}");
        }
    }

    #[test]
    fn with_the_limit_that_is_asked_for_every_share_is_at_its_maximum() {
        for limit in [Some(Descriptors::WANTED), Some(1 << 20), None] {
            let shares = Descriptors::of(limit);
            let found = (shares.connections, shares.exchanges, shares.store_files);
            assert_eq!(found, (8192, 2048, 256), "{shares:?}");
        }
    }

    #[test]
    fn a_low_limit_leaves_connections_for_clients() {
        let shares = Descriptors::of(Some(256));
        assert_eq!((shares.connections, shares.exchanges, shares.store_files), (80, 32, 32));
        assert_eq!(Descriptors::of(Some(1024)).connections, 512);
        assert_eq!(Descriptors::of(Some(10)).connections, 8, "a limit below all use still lets one client in");
    }
}
