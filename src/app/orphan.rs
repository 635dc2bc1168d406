//! Notices that the Functions host has ended without ending this process.
//!
//! A host that shuts down while calls are under way, or because its storage is gone, leaves the process running. Nobody
//! calls it again, and it would keep its memory and its connections for ever.

use std::time::Duration;

use tokio::time::sleep;

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The number of looks in a row that find neither the parent process nor a new request: three minutes.
const QUIET_LOOKS: u32 = 6;

/// Waits until this process is an orphan: the host, which was its parent, has ended, and for three minutes no request
/// has come. `parent` returns the id of the parent process, and `has_called` whether a request has come since the last
/// look.
pub(super) async fn is_orphaned(host: u32, parent: impl Fn() -> u32, has_called: impl Fn() -> bool) {
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        sleep(LOOK_EVERY).await;
        // The system gives an orphan another parent.
        let is_quiet = !has_called() && parent() != host;
        quiet = if is_quiet { quiet + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use tokio::time::{Instant, timeout};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MINUTE: Duration = Duration::from_mins(1);
    const HOST: u32 = 40;

    #[tokio::test(start_paused = true)]
    async fn a_process_whose_host_lives_is_no_orphan_however_quiet_it_is() {
        assert!(timeout(24 * HOUR, is_orphaned(HOST, || HOST, || false)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_still_called_is_no_orphan() {
        assert!(timeout(24 * HOUR, is_orphaned(HOST, || 1, || true)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn without_its_host_a_process_is_an_orphan_three_minutes_after_the_last_request() {
        let (parent, called) = (Arc::new(AtomicU32::new(HOST)), Arc::new(AtomicBool::new(false)));
        let orphaned = {
            let (parent, called) = (Arc::clone(&parent), Arc::clone(&called));
            tokio::spawn(is_orphaned(
                HOST,
                move || parent.load(Ordering::Relaxed),
                move || called.swap(false, Ordering::Relaxed),
            ))
        };
        sleep(10 * MINUTE).await;
        parent.store(1, Ordering::Relaxed);
        sleep(2 * MINUTE).await;
        called.store(true, Ordering::Relaxed);
        let last = Instant::now();
        orphaned.await.unwrap();
        assert!((3 * MINUTE..=4 * MINUTE).contains(&last.elapsed()), "{:?}", last.elapsed());
    }
}
