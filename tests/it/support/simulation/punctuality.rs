//! How late the conversations are looked at, and how far the sweeps come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcp_scheduler::domain::{ConversationId, Timestamp};
use mcp_scheduler::store::{DueKey, Partition, Slot, SlotWakeUp, WakeUp};

use super::fault_plan::Profile;

/// The period of the sweeps and their grace, and the time that a run needs.
const BY_SWEEP: Duration = Duration::from_secs(60 + 10 + 15);
/// One more period. A run of overdue rows that dies with its process leaves rows to the sweep after the next one.
const AGAIN: Duration = Duration::from_mins(1);
/// A wake-up that is on its way in time.
const BY_WAKE_UP: Duration = Duration::from_secs(15);
/// Whatever is due sooner than this after its commit has a wake-up of its own.
const NEAR: Duration = Duration::from_secs(237);

const SECOND: Duration = Duration::from_secs(1);

/// The due rows and the sweeps of a run.
pub struct Punctuality {
    profile: Profile,
    /// Whether more conversations are due at one instant than one run delivers.
    pub has_crowd: bool,
    rows: BTreeMap<DueKey, DueRow>,
    /// The conversations that a sweep has run. If it dies, so do their wake-ups.
    run_by_sweep: BTreeSet<ConversationId>,
    sweeps: BTreeMap<u64, Sweep>,
    marks: Vec<Slot>,
    /// The sweeps that have enqueued a second for a partition.
    enqueued: BTreeMap<(Slot, Partition), BTreeSet<u64>>,
    /// From this time on nothing fails.
    quiet_since: Option<Timestamp>,
    /// The greatest lateness, by what was to bring the row in time.
    pub worst: BTreeMap<(Profile, &'static str), Duration>,
}

struct DueRow {
    made: Timestamp,
    is_lease: bool,
    /// A sweep had run the conversation before, and may have died before it enqueued the wake-up of this row.
    made_by_sweep: bool,
}

#[derive(Default)]
struct Sweep {
    began: Timestamp,
    /// The lowest mark when it had ended.
    top: Option<Slot>,
    ended_well: Option<Timestamp>,
}

impl Punctuality {
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            has_crowd: false,
            rows: BTreeMap::new(),
            run_by_sweep: BTreeSet::new(),
            sweeps: BTreeMap::new(),
            marks: Vec::new(),
            enqueued: BTreeMap::new(),
            quiet_since: None,
            worst: BTreeMap::new(),
        }
    }

    /// A sweep runs the conversation of this row.
    pub fn sweep_reads(&mut self, key: &str) {
        if let Some(id) = key.strip_prefix("m~").and_then(|key| key.rsplit('~').next()) {
            self.run_by_sweep.insert(ConversationId::from_inverted(id).unwrap());
        }
    }

    /// Nothing fails from now on. Before, no process may have run for a while.
    pub fn becomes_quiet(&mut self, at: Timestamp) {
        self.quiet_since = Some(at);
    }

    pub fn row_appears(&mut self, at: Timestamp, key: &str, value: &str) {
        let (key, is_lease): (DueKey, _) = (key.parse().unwrap(), value.contains("\"leased\":true"));
        let made_by_sweep = self.run_by_sweep.contains(&key.id);
        self.rows.insert(key, DueRow { made: at, is_lease, made_by_sweep });
    }

    /// A row is looked at. Returns what is wrong with that.
    pub fn row_goes(&mut self, at: Timestamp, key: &str) -> Option<String> {
        let key: DueKey = key.parse().unwrap();
        let row = self.rows.remove(&key)?;
        let ready = key.at.max(row.made);
        let (bound, by) = self.bound(&key, &row)?;
        let late = match (by, self.quiet_since) {
            ("sweep when quiet", Some(quiet)) => ready.max(quiet).until(at),
            _ => ready.until(at),
        };
        let worst = self.worst.entry((self.profile, by)).or_default();
        *worst = late.max(*worst);
        (late > bound).then(|| format!("L {key} is looked at {late:?} late, with {by} after {bound:?}"))
    }

    /// How late a row may be, and what sees to it.
    fn bound(&self, key: &DueKey, row: &DueRow) -> Option<(Duration, &'static str)> {
        if self.profile == Profile::OneProcess {
            return self.quiet_since.map(|_| (BY_WAKE_UP, "sweep when quiet"));
        }
        if self.profile.is_in_time() && self.has_wake_up(key, row) {
            return Some((BY_WAKE_UP, "wake-up"));
        }
        if let Some(quiet) = self.quiet_since {
            let was_overdue = key.at.max(row.made) < quiet;
            let again = match was_overdue {
                false => 0,
                true if self.has_crowd => 2,
                true => 1,
            };
            return Some((BY_SWEEP + again * AGAIN, "sweep when quiet"));
        }
        // The next occurrence of a series that is late. The sweep before may have run the last one, and then the next sweep
        // takes this row for one that a run under way has reached.
        let was_made_overdue = key.at + SECOND < row.made;
        match self.profile {
            // Nobody else runs the rest of a crowd, and each wake-up for it that is lost costs another period.
            Profile::DeadQueue | Profile::Messages if self.has_crowd => None,
            Profile::Messages | Profile::DeadQueue if was_made_overdue => Some((BY_SWEEP + AGAIN, "another sweep")),
            Profile::Messages | Profile::DeadQueue | Profile::Nothing => Some((BY_SWEEP, "sweep")),
            // A client calls every minute, and a process looks once a minute whether the sweeps are 90 seconds behind.
            // Of a crowd, the rest may need another look.
            Profile::DeadTimer => {
                let look = Duration::from_secs(60 + 60 + 90);
                let looks = if self.has_crowd { 2 } else { 1 };
                Some((look * looks + BY_WAKE_UP + BY_WAKE_UP, "second waker"))
            }
            Profile::Silence => Some((Duration::from_mins(15) + BY_WAKE_UP, "switch")),
            Profile::Sweeps | Profile::Everything | Profile::OneProcess => None,
        }
    }

    /// Whether the commit or a sweep must have enqueued a wake-up that nothing delays.
    fn has_wake_up(&self, key: &DueKey, row: &DueRow) -> bool {
        // The call of a client ends with the faults, perhaps before its wake-up. Its commit may travel with those of others,
        // and then it is stored a little later.
        let is_cut_off = |quiet| row.made <= quiet + SECOND && quiet <= row.made + SECOND;
        let is_cut_off = self.quiet_since.is_some_and(is_cut_off);
        if row.is_lease || is_cut_off || row.made_by_sweep {
            return false;
        }
        let in_time = |end: Timestamp| end + Duration::from_secs(3) <= key.at;
        let sees = |sweep: &Sweep| {
            sweep.began >= row.made
                && sweep.top.is_some_and(|top| top.start() > key.at)
                && sweep.ended_well.is_some_and(in_time)
        };
        key.at < row.made + NEAR || self.sweeps.values().any(sees)
    }

    pub fn sweep_begins(&mut self, sweep: u64, at: Timestamp) {
        self.sweeps.insert(sweep, Sweep { began: at, ..Sweep::default() });
    }

    pub fn sweep_ends_well(&mut self, sweep: u64, at: Timestamp) {
        if let Some(sweep) = self.sweeps.get_mut(&sweep) {
            sweep.ended_well = Some(at);
            sweep.top = self.marks.iter().min().copied();
        }
    }

    /// A sweep enqueues a wake-up. Without faults no other one may have enqueued it before.
    pub fn sweep_enqueues(&mut self, sweep: u64, wake_up: &WakeUp) -> Option<String> {
        let WakeUp::Slot(SlotWakeUp { slot, partitions, part: None }) = wake_up else { return None };
        let began = self.sweeps.get(&sweep)?.began;
        let mut again = false;
        for partition in partitions.iter() {
            let others = self.enqueued.entry((*slot, partition)).or_default();
            // A sweep that runs an overdue occurrence also enqueues a wake-up for the next one, behind its own end.
            let saw = |other: &Sweep| other.top.is_some_and(|top| *slot < top);
            let ended = |other: &u64| {
                let other = &self.sweeps[other];
                saw(other) && other.ended_well.is_some_and(|end| end < began)
            };
            again |= others.iter().any(ended);
            others.insert(sweep);
        }
        (again && self.profile == Profile::Nothing).then(|| format!("C two sweeps enqueue {slot}, one after the other"))
    }

    /// The watermark is written. It may never move back.
    pub fn watermark_moves(&mut self, value: &str) -> Option<String> {
        let row: serde_json::Value = serde_json::from_str(value).unwrap();
        let marks = row["row"]["marks"].as_array().unwrap();
        let marks: Vec<Slot> = marks.iter().map(|mark| mark.as_str().unwrap().parse().unwrap()).collect();
        let is_back = self.marks.iter().zip(&marks).any(|(before, after)| after < before);
        self.marks = marks;
        is_back.then(|| "W the watermark moves back".to_owned())
    }
}
