//! The bars: what conversations may cost at most.

use std::time::Duration;

use crate::support::cost::counts::Kind;
use crate::support::cost::load::{A_DAY, Measured};
use crate::support::cost::money::Bill;

/// For the load that others are compared with, 100 per second.
pub fn check(measured: &Measured, commits_of_batch: f64) {
    let load = measured.load;
    assert!(measured.delivered.lateness < Duration::from_millis(2500), "cheap, because they are late: {measured:?}");
    if load.per_second != 100 {
        return;
    }
    let (one_by_one, in_batches) = (Bill::one_by_one(measured), Bill::in_batches(measured, commits_of_batch));
    let (one_by_one, in_batches) = (one_by_one.all_in(), in_batches.all_in());
    let (bar, messages) = if load.ahead == A_DAY { (0.85, 0.021) } else { (1.00, 0.032) };
    assert!(one_by_one <= bar, "{load:?}: ${one_by_one} for a million");
    assert!(in_batches <= 0.50, "{load:?}: ${in_batches} for a million in batches");
    // One row is read for each conversation. A second of a hundred conversations is scanned, and its rest is. They were
    // scheduled in a second, too, and share the transactions of a partition or two.
    for (kinds, most) in [
        (&[Kind::Put][..], messages),
        (&[Kind::Invocation], messages),
        (&[Kind::Read], 1.01),
        (&[Kind::Scan], 0.20),
        (Kind::COMMITS, 2.55),
    ] {
        let number = measured.per_conversation(kinds);
        assert!(number <= most, "{load:?}: {number} of {kinds:?} for each conversation");
    }
}

/// For one per second: no dearer than a wake-up for each conversation was.
pub fn check_beside_first_release(measured: &Measured) {
    /// If each conversation has a second of its own, a scan is added and nothing is shared.
    const SCAN: f64 = 0.04;
    let (before, now) = (Bill::of_first_release(measured.load.per_second), Bill::one_by_one(measured));
    let more = now.all_in() - before.all_in();
    let allowed = if measured.load.is_regular() { SCAN } else { 0.0 };
    assert!(more <= allowed, "{:?}: ${more} more for a million", measured.load);
}

/// For up to ten instances of the queue function, each billed while it runs something.
pub fn check_instances(measured: &Measured) {
    let bill = Bill::with_its_instances(measured).all_in();
    assert!(bill <= 1.10, "{:?}: ${bill} for a million", measured.load);
    for (kinds, most) in [(&[Kind::Invocation][..], 0.035), (&[Kind::Read], 1.02), (Kind::COMMITS, 2.6)] {
        let number = measured.per_conversation(kinds);
        assert!(number <= most, "{:?}: {number} of {kinds:?} for each conversation", measured.load);
    }
}

/// For 5,000 at one instant.
pub fn check_at_once(measured: &Measured) {
    let counts = measured.counts;
    for (kinds, most) in [
        (Kind::QUEUE, 270),
        (&[Kind::Invocation], 90),
        // Conversations of one client that lie together are read together.
        (&[Kind::Read], 600),
        (&[Kind::Scan], 300),
        (&[Kind::Commit], 2500),
    ] {
        assert!(counts.sum(kinds) <= most, "{} of {kinds:?}: {measured:?}", counts.sum(kinds));
    }
    // An instance makes 256 deliveries at one time, and an endpoint takes a tenth of a second.
    assert!(measured.delivered.lateness < Duration::from_secs(4), "{measured:?}");
}
