//! Counts of what happened: a run without faults proves little.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault_plan::Profile;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub commits: u64,
    /// Commits that changed more than one conversation.
    pub shared_commits: u64,
    pub sent: u64,
    pub duplicates: u64,
    pub deaths: u64,
    pub freezes: u64,
    pub lease_takeovers: u64,
    pub cancels: u64,
    pub redeliveries: u64,
    pub large_payloads: u64,
    pub callbacks: u64,
    /// Attempts that receivers got, and their acknowledgements.
    pub received: u64,
    pub acknowledged: u64,
    /// The same for occurrences.
    pub acknowledged_occurrences: u64,
    /// Occurrences that have ended.
    pub occurrences: u64,
    /// Occurrences that began or ended late, so that others were left out.
    pub coalesced: u64,
    /// Series that were paused, resumed, or cancelled after the attempt under way.
    pub steered: u64,
    pub cancels_in_flight: u64,
    /// The greatest lateness of a due row, by what was to bring it in time.
    pub worst: BTreeMap<(Profile, &'static str), Duration>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.commits += other.commits;
        self.shared_commits += other.shared_commits;
        self.sent += other.sent;
        self.duplicates += other.duplicates;
        self.deaths += other.deaths;
        self.freezes += other.freezes;
        self.lease_takeovers += other.lease_takeovers;
        self.cancels += other.cancels;
        self.redeliveries += other.redeliveries;
        self.large_payloads += other.large_payloads;
        self.callbacks += other.callbacks;
        self.received += other.received;
        self.acknowledged += other.acknowledged;
        self.acknowledged_occurrences += other.acknowledged_occurrences;
        self.occurrences += other.occurrences;
        self.coalesced += other.coalesced;
        self.steered += other.steered;
        self.cancels_in_flight += other.cancels_in_flight;
        for (by, late) in other.worst {
            let worst = self.worst.entry(by).or_default();
            *worst = late.max(*worst);
        }
    }
}
