//! Seeded cron expressions, in zones and at instants of which many are near a change of the clocks.

use mcp_scheduler::domain::{Timestamp, Zone};

/// No release of the IANA database since 2025b has changed one of these zones. Between them they have gaps and folds of 30
/// minutes, an hour and two hours, at midnight, before it and after it.
const ZONES: [&str; 18] = [
    "Africa/Cairo",
    "America/Los_Angeles",
    "America/New_York",
    "America/Santiago",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "UTC",
];
const MONTHS: [&str; 12] = ["JAN", "feb", "Mar", "APR", "may", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"];
/// Fields that no expression has, by their place from the minute to the day of the week.
const WRONG: [&[&str]; 5] = [
    &["60", "0/15", "/5", "*/0", "5-1", "1,,2", "", "MON", "L", "?", "*,61", "1-", "*5", "1.5"],
    &["24", "8/2", "/5", "*/0", "22-5", ",1", "W", "9W", "JAN", "?", "*,24"],
    &["0", "32", "1/2", "/2", "5-1", "1-15W", "1W,15W", "MON", "+1", "L-3", "1#2", "0W", "*,32"],
    &["0", "13", "1/3", "NOV-FEB", "MON", "JANUARY", "L", "1,", "?"],
    &["8", "1/2", "FRI-MON", "JAN", "MONDAY", "FRI#6", "FRI#0", "L", "1W", "MON#", "5-L", "SUNMON"],
];

/// An expression, and where and when the next five times are asked for.
pub struct Case {
    pub expression: String,
    pub zone: Zone,
    pub start: Timestamp,
}

/// A small generator of numbers (`SplitMix64`).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A number, a range, a step or a list.
    fn field(&mut self, low: u64, high: u64, name: fn(u64) -> String) -> String {
        let entries = if self.one_in(4) { self.between(2, 3) } else { 1 };
        let entries: Vec<_> = (0..entries).map(|_| self.entry(low, high, name)).collect();
        entries.join(",")
    }

    fn entry(&mut self, low: u64, high: u64, name: fn(u64) -> String) -> String {
        let a = self.between(low, high - 1);
        let b = self.between(a + 1, high);
        let (first, last) = (name(a), name(b));
        match self.below(8) {
            0..2 => first,
            2..4 => last,
            4 | 5 => format!("{first}-{last}"),
            6 => format!("*/{}", self.between(2, high.min(31))),
            _ => format!("{first}-{last}/{}", self.between(1, high.min(12))),
        }
    }

    fn day_of_month(&mut self) -> String {
        match self.below(12) {
            0..5 => "*".to_owned(),
            5..9 => self.field(1, 31, plain),
            9 => "L".to_owned(),
            10 => format!("{}W", self.between(1, 31)),
            _ => self.of(&["LW", "?", "*,15", "15,*", "1,L"]).to_owned(),
        }
    }

    fn day_of_week(&mut self) -> String {
        let day = self.below(7);
        match self.below(12) {
            0..5 => "*".to_owned(),
            5 | 6 => self.field(0, 7, plain),
            7 | 8 => self.field(0, 6, weekday),
            9 => format!("{}#{}", weekday(day), self.between(1, 5)),
            10 => self.of(&[format!("{day}L"), format!("{}#L", weekday(day))].each_ref()).clone(),
            _ => self.of(&["?", "*,5", "FRI-SUN", "+1", "+FRI", "+1-5"]).to_owned(),
        }
    }

    fn expression(&mut self) -> String {
        if self.one_in(60) {
            let nicknames = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually", "@midnight", "@Daily"];
            return self.of(&nicknames).to_owned();
        }
        let hour = match self.below(4) {
            0 => self.field(0, 23, plain),
            1 => "*".to_owned(),
            _ => self.of(&[0_u64, 1, 2, 3, 23]).to_string(),
        };
        let minute = match self.below(4) {
            0 => self.of(&["0", "30", "0,30", "*", "*/30", "59"]).to_owned(),
            _ => self.field(0, 59, plain),
        };
        let month = if self.one_in(4) { self.field(1, 12, month) } else { "*".to_owned() };
        let mut fields = [minute, hour, self.day_of_month(), month, self.day_of_week()];
        if self.one_in(8) {
            let place = usize::try_from(self.below(5)).unwrap();
            self.of(WRONG[place]).clone_into(&mut fields[place]);
        }
        let expression = fields.join(" ");
        match self.below(8) {
            0 => format!("{} {expression}", self.below(60)),
            1 if self.one_in(10) => format!("{} {expression}", self.of(&["*", "*/5", "0,30", "0-10"])),
            _ => expression,
        }
    }

    fn start(&mut self, changes: &[Timestamp]) -> Timestamp {
        let from_2026 = 1_767_225_600_000 + self.below(10 * 365 * 86_400) * 1000;
        let anywhere = Timestamp::from_millis(i64::try_from(from_2026).unwrap());
        if changes.is_empty() || self.one_in(3) {
            return anywhere;
        }
        self.of(changes) - std::time::Duration::from_secs(self.below(20 * 3600))
    }
}

fn plain(value: u64) -> String {
    value.to_string()
}

fn month(value: u64) -> String {
    let name = MONTHS[usize::try_from(value - 1).unwrap()];
    if value.is_multiple_of(2) { name.to_owned() } else { value.to_string() }
}

fn weekday(value: u64) -> String {
    DAYS[usize::try_from(value).unwrap()].to_owned()
}

/// The instants from 2026 to 2035 at which the clocks of a zone change.
pub fn changes(zone: Zone) -> Vec<Timestamp> {
    let hour = |n: i64| Timestamp::from_millis(1_767_225_600_000 + n * 1_800_000);
    let halves = (0..10 * 365 * 48).filter(|n| zone.at(hour(*n)).offset() != zone.at(hour(n + 1)).offset());
    halves.map(|n| hour(n + 1)).collect()
}

/// The cases of a seed.
pub fn cases(seed: u64, count: usize) -> Vec<Case> {
    let mut seeded = Seeded(seed);
    let zones: Vec<Zone> = ZONES.iter().map(|name| name.parse().unwrap()).collect();
    let changes: Vec<_> = zones.iter().map(|zone| changes(*zone)).collect();
    let case = |_| {
        let at = usize::try_from(seeded.below(ZONES.len() as u64)).unwrap();
        Case { expression: seeded.expression(), zone: zones[at], start: seeded.start(&changes[at]) }
    };
    (0..count).map(case).collect()
}
