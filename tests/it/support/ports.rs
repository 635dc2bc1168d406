//! Ports that no other test uses.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that a service can use again after a restart. It is below the range from which the system chooses ports, so no
/// connection of another test takes it.
pub fn fixed_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    (0..1000)
        .map(|_| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port")
}
