//! The text of a cron expression: its fields are checked one by one, so that an error names the field and the entry.
//!
//! The grammar is that of OCPS, the Open Cron Pattern Specification, 1.0 to 1.4. The crate `croner` accepts more, such as
//! the name of a month in the field of the day of the week, so it is given only what is accepted here.

use std::fmt;

/// Why a text is not accepted as a cron expression. The error's text follows the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    /// It is longer than any useful expression.
    #[error("is longer than {MAX_CRON} characters; write ranges and steps, such as 0 9-17 * * MON-FRI or */15 * * * *")]
    TooLong,
    /// No cron expression has this character.
    #[error(
        "has a character that no cron expression has; write minute, hour, day of month, month and day of week, such as \
         30 9 * * MON-FRI"
    )]
    Character,
    /// It has not five or six fields.
    #[error(
        "has {0} fields; write five: minute, hour, day of month, month and day of week, such as 30 9 * * MON-FRI (a sixth \
         field in front is the second)"
    )]
    FieldCount(usize),
    /// It begins with `@` and is no nickname.
    #[error(
        "is not a nickname; use @hourly, @daily, @weekly, @monthly or @yearly, or five fields such as 30 9 * * MON-FRI"
    )]
    Nickname,
    /// It is `@reboot`, which is an event and not a time.
    #[error("is @reboot, which names no time; use @hourly, @daily, or five fields such as 30 9 * * MON-FRI")]
    Reboot,
    /// The field of the second is not one number.
    #[error(
        "has a first of six fields, the second, that is not one number from 0 to 59; occurrences are at least a minute \
         apart, so write for example */5 * * * * for each fifth minute"
    )]
    TooOften,
    /// An entry of a field is wrong.
    #[error("has {entry:?} in the field of the {field}, but {problem}")]
    Entry {
        /// The field.
        field: CronField,
        /// The entry between two commas.
        entry: String,
        /// What is wrong with the entry.
        problem: EntryProblem,
    },
    /// No time from 1970 to 2099 matches.
    #[error(
        "never fires: no date matches it up to the year 2099; 29 February is 0 9 29 2 *, the last day of a month 0 9 L * *"
    )]
    NeverFires,
}

/// A field of a cron expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CronField {
    /// 0 to 59, in an expression of six fields.
    Second,
    /// 0 to 59
    Minute,
    /// 0 to 23
    Hour,
    /// 1 to 31, `L`, `LW`, `15W`
    DayOfMonth,
    /// 1 to 12, or a name
    Month,
    /// 0 to 7, or a name; 0 and 7 are Sunday; `FRI#2`, `FRI#L`
    DayOfWeek,
}

/// What is wrong with an entry of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// It is no value of the field.
    #[error("an entry there is {}", .0.values())]
    Value(CronField),
    /// A range ends before it begins.
    #[error("a range ends after it begins; write two ranges, such as 22-23,0-5")]
    Backwards,
    /// A step is zero or no number.
    #[error("a step is a number from 1, such as */15")]
    Step,
    /// A step follows a single value.
    #[error("a step follows * or a range, such as */15 or {}-{}/15", .0.range().0, .0.range().1)]
    StepWithoutRange(CronField),
    /// `W` is in a list.
    #[error("W is for a single day; write a second recurrence for the other day")]
    WeekdayInList,
    /// `#` is not followed by 1 to 5 or by `L`.
    #[error("a number from 1 to 5, or L for the last, follows #, such as FRI#2 or FRI#L")]
    Nth,
}

/// A checked expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CronText {
    /// Six fields with numbers instead of names, and the years to search, which is what `croner` reads.
    pub(super) fields: String,
    /// The second of each occurrence.
    pub(super) second: u8,
    /// Whether `*` or a step is in the minute or the hour, so that the occurrences go on through a change of the clocks.
    pub(super) is_interval: bool,
    /// The minutes that match, times the hours that match.
    pub(super) most_per_day: u32,
}

/// The longest expression, in characters. All minutes of an hour as a list have 169.
pub const MAX_CRON: usize = 256;
/// The years that are searched. The changes of the clocks after 2099 are not in `chrono-tz`.
const YEARS: &str = "1970-2099";

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl CronText {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidCron> {
        if text.len() > MAX_CRON {
            return Err(InvalidCron::TooLong);
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || "*,-/#?+@ \t".contains(c)) {
            return Err(InvalidCron::Character);
        }
        let text = text.trim();
        if text == "@reboot" {
            return Err(InvalidCron::Reboot);
        }
        let nickname = NICKNAMES.iter().find(|(name, _)| *name == text);
        if text.starts_with('@') && nickname.is_none() {
            return Err(InvalidCron::Nickname);
        }
        let fields: Vec<_> = nickname.map_or(text, |(_, fields)| fields).split_whitespace().collect();
        match *fields.as_slice() {
            [minute, hour, day, month, weekday] => Self::of("0", minute, hour, [day, month, weekday]),
            [second, minute, hour, day, month, weekday] => Self::of(second, minute, hour, [day, month, weekday]),
            _ => Err(InvalidCron::FieldCount(fields.len())),
        }
    }

    fn of(second: &str, minute: &str, hour: &str, date: [&str; 3]) -> Result<Self, InvalidCron> {
        let second = CronField::Second.value(second).map_err(|_| InvalidCron::TooOften)?;
        let [day, month, weekday] = date;
        let (and, weekday) = weekday.strip_prefix('+').map_or(("", weekday), |weekday| ("+", weekday));
        let (minutes, hours) = (CronField::Minute.list(minute)?, CronField::Hour.list(hour)?);
        let most_per_day = CronField::Minute.count(&minutes) * CronField::Hour.count(&hours);
        let fields = format!(
            "{second} {minutes} {hours} {} {} {and}{} {YEARS}",
            CronField::DayOfMonth.list(day)?,
            CronField::Month.list(month)?,
            CronField::DayOfWeek.list(weekday)?,
        );
        let is_interval = [minute, hour].iter().any(|field| field.contains(['*', '/']));
        Ok(Self { fields, second, is_interval, most_per_day })
    }
}

impl CronField {
    const fn range(self) -> (u8, u8) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The values of the field, for an error.
    const fn values(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "a number from 0 to 59, a range such as 0-29, or */15",
            Self::Hour => "a number from 0 to 23, a range such as 9-17, or */2",
            Self::DayOfMonth => "a number from 1 to 31, a range such as 1-7, L for the last day, LW or 15W",
            Self::Month => "a number from 1 to 12, a name from JAN to DEC, or a range such as 6-8",
            Self::DayOfWeek => "a number from 0 to 7, a name from SUN to SAT, a range such as MON-FRI, FRI#2 or FRI#L",
        }
    }

    /// A field: entries with commas between them.
    ///
    /// A field whose first entry is `*` does not restrict the date, and one with a later `*` does (OCPS 1.1, section 6.1).
    fn list(self, text: &str) -> Result<String, InvalidCron> {
        let is_date = matches!(self, Self::DayOfMonth | Self::DayOfWeek);
        if is_date && text == "?" {
            return Ok("*".to_owned());
        }
        let mut entries = Vec::new();
        for entry in text.split(',') {
            let is_alone = entry.len() == text.len();
            let wrong = |problem| InvalidCron::Entry { field: self, entry: entry.to_owned(), problem };
            entries.push(self.entry(&entry.to_ascii_uppercase(), is_alone).map_err(wrong)?);
        }
        let (low, high) = self.range();
        Ok(match entries.iter().position(|entry| entry == "*") {
            Some(0) => "*".to_owned(),
            Some(_) => format!("{low}-{high}"),
            None => entries.join(","),
        })
    }

    /// The number of values that a checked field of numbers, ranges and steps has.
    fn count(self, list: &str) -> u32 {
        let (low, high) = self.range();
        // One bit for each value. It is counted at each read of a stored expression, so it must not take long.
        let mut values = 0_u64;
        for entry in list.split(',') {
            let (range, step) = entry.split_once('/').unwrap_or((entry, "1"));
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.parse().unwrap_or(low), last.parse().unwrap_or(high));
            let step = step.parse::<usize>().unwrap_or(1).max(1);
            values |= (first..=last).step_by(step).fold(0, |bits, value| bits | 1_u64.wrapping_shl(value.into()));
        }
        values.count_ones()
    }

    fn entry(self, text: &str, is_alone: bool) -> Result<String, EntryProblem> {
        if let Some((range, step)) = text.split_once('/') {
            let range = match range {
                "*" => range.to_owned(),
                _ if range.contains('-') => self.range_of(range)?,
                _ => return Err(EntryProblem::StepWithoutRange(self)),
            };
            return Ok(format!("{range}/{}", step_of(step)?));
        }
        match self {
            _ if text == "*" => Ok(text.to_owned()),
            _ if text.contains('-') => self.range_of(text),
            Self::DayOfMonth if text == "L" => Ok(text.to_owned()),
            Self::DayOfMonth if text.ends_with('W') => self.closest_weekday(text, is_alone),
            Self::DayOfWeek if text.contains('#') || text.ends_with('L') => self.nth(text),
            _ => self.value(text).map(|value| value.to_string()),
        }
    }

    fn range_of(self, text: &str) -> Result<String, EntryProblem> {
        let (first, last) = text.split_once('-').ok_or(EntryProblem::Value(self))?;
        let first = self.value(first)?;
        // The week may end with Sunday, which is 0 and 7.
        let last = if self == Self::DayOfWeek && last == "SUN" && first > 0 { 7 } else { self.value(last)? };
        if first > last { Err(EntryProblem::Backwards) } else { Ok(format!("{first}-{last}")) }
    }

    fn closest_weekday(self, text: &str, is_alone: bool) -> Result<String, EntryProblem> {
        if !is_alone {
            return Err(EntryProblem::WeekdayInList);
        }
        match text.strip_suffix('W').unwrap_or_default() {
            "L" => Ok(text.to_owned()),
            day => self.value(day).map(|day| format!("{day}W")),
        }
    }

    /// The second Friday as `FRI#2`, the last one as `FRI#L` or `FRIL`.
    fn nth(self, text: &str) -> Result<String, EntryProblem> {
        let (day, nth) = match text.split_once('#') {
            Some(parts) => parts,
            None => (text.strip_suffix('L').unwrap_or(text), "L"),
        };
        let is_nth = matches!(nth, "1" | "2" | "3" | "4" | "5" | "L");
        let day = self.value(day)?;
        if is_nth { Ok(format!("{day}#{nth}")) } else { Err(EntryProblem::Nth) }
    }

    /// A number or a name. Sunday is 0 or 7.
    fn value(self, text: &str) -> Result<u8, EntryProblem> {
        let (names, from): (&[&str], u8) = match self {
            Self::Month => (&MONTHS, 1),
            Self::DayOfWeek => (&DAYS, 0),
            _ => (&[], 0),
        };
        let named = (from..).zip(names).find(|(_, name)| **name == text).map(|(value, _)| value);
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = || if is_number { text.parse().ok() } else { None };
        let (low, high) = self.range();
        named.or_else(number).filter(|value| (low..=high).contains(value)).ok_or(EntryProblem::Value(self))
    }
}

/// A step. One that is longer than any field means the first value alone, so its size does not matter.
fn step_of(text: &str) -> Result<u8, EntryProblem> {
    const LONGER_THAN_ANY_FIELD: u8 = 100;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(0) => Err(EntryProblem::Step),
        Ok(step) if is_number => Ok(LONGER_THAN_ANY_FIELD.min(step)),
        Err(_) if is_number => Ok(LONGER_THAN_ANY_FIELD),
        _ => Err(EntryProblem::Step),
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}
