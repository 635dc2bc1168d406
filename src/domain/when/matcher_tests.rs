//! A second reading of cron expressions, as simple as it can be, for the tests of the first.

use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta};
use proptest::prelude::*;

use super::{Reading, Zone};
use crate::domain::Timestamp;

/// Six fields: second, minute, hour, day of month, month, day of week.
pub(super) struct Matcher(Vec<String>);

impl Matcher {
    pub(super) fn of(text: &str) -> Self {
        let mut fields: Vec<_> = text.split(' ').map(str::to_owned).collect();
        if fields.len() == 5 {
            fields.insert(0, "0".to_owned());
        }
        Self(fields)
    }

    fn is_interval(&self) -> bool {
        self.0[1..3].iter().any(|field| field.contains(['*', '/']))
    }

    fn second(&self) -> u32 {
        self.0[0].parse().unwrap()
    }

    fn any(&self, field: usize, value: u32, max: u32) -> bool {
        self.0[field].split(',').any(|entry| plain(entry, value, max))
    }

    fn matches_date(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday();
        let (and, days) = self.0[5].strip_prefix('+').map_or((false, &*self.0[5]), |days| (true, days));
        let of_month = self.0[3].split(',').any(|entry| day_of_month(entry, date));
        let of_week = days
            .split(',')
            .any(|entry| nth_weekday(entry, date) || plain(entry, weekday, 7) || (weekday == 0 && plain(entry, 7, 7)));
        let day = match (&*self.0[3], days) {
            ("*", _) => of_week,
            (_, "*") => of_month,
            _ if and => of_month && of_week,
            _ => of_month || of_week,
        };
        day && self.any(4, date.month(), 12)
    }

    /// The matching wall times of a day.
    fn times(&self, date: NaiveDate) -> Vec<NaiveDateTime> {
        let hours = (0..24).filter(|hour| self.any(2, *hour, 23));
        let times = hours.flat_map(|hour| (0..60).filter(|minute| self.any(1, *minute, 59)).map(move |m| (hour, m)));
        times.map(|(hour, minute)| date.and_hms_opt(hour, minute, self.second()).unwrap()).collect()
    }

    /// The occurrences in the three days after an instant, found by a look at each minute of the wall clock.
    pub(super) fn occurrences(&self, zone: Zone, after: Timestamp) -> Vec<Timestamp> {
        let first = zone.at(after - Duration::from_hours(30)).wall().date();
        let days = first.iter_days().take(7).filter(|date| self.matches_date(*date));
        let mut found = Vec::new();
        for wall in days.flat_map(|date| self.times(date)) {
            match zone.read(wall).unwrap() {
                Reading::Once(at) => found.push(at),
                Reading::Fold { first, .. } if !self.is_interval() => found.push(first),
                Reading::Fold { first, second } => found.extend([first, second]),
                Reading::Gap(_) if self.is_interval() => {}
                Reading::Gap(_) => {
                    // The first minute that the clocks show again.
                    let later = (1..).map(|minute| wall + TimeDelta::minutes(minute));
                    let shown = later.map(|wall| zone.read(wall).unwrap());
                    found.extend(
                        shown.filter_map(|read| if let Reading::Once(at) = read { Some(at) } else { None }).take(1),
                    );
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|at| *at > after && after.until(*at) < Duration::from_hours(72));
        found
    }
}

/// `*`, a number, a range, or one of them with a step.
fn plain(entry: &str, value: u32, max: u32) -> bool {
    let (range, step) = entry.split_once('/').map_or((entry, 1), |(range, step)| (range, step.parse().unwrap()));
    let least = u32::from(max == 31 || max == 12);
    let (low, high) = match range.split_once('-') {
        _ if range == "*" => (least, max),
        Some((low, high)) => (low.parse().unwrap(), high.parse().unwrap()),
        None => match range.parse() {
            Ok(number) => (number, number),
            Err(_) => return false,
        },
    };
    (low..=high).step_by(step).any(|each| each == value)
}

fn day_of_month(entry: &str, date: NaiveDate) -> bool {
    let month = || (1..=31).filter_map(|day| date.with_day(day));
    let workdays = || month().filter(|day| day.weekday().num_days_from_monday() < 5);
    match entry.strip_suffix('W') {
        _ if entry == "L" => month().next_back() == Some(date),
        Some("L") => workdays().next_back() == Some(date),
        Some(day) => {
            // The nearest workday of the month; none is as near on both sides.
            let day: i64 = day.parse().unwrap();
            let exists = month().any(|each| i64::from(each.day()) == day);
            exists && workdays().min_by_key(|each| (i64::from(each.day()) - day).abs()) == Some(date)
        }
        None => plain(entry, date.day(), 31),
    }
}

fn nth_weekday(entry: &str, date: NaiveDate) -> bool {
    let Some((weekday, nth)) = entry.split_once('#') else { return false };
    let same: Vec<_> =
        (1..=31).filter_map(|day| date.with_day(day)).filter(|day| day.weekday() == date.weekday()).collect();
    let of_day = date.weekday().num_days_from_sunday() == weekday.parse::<u32>().unwrap() % 7;
    let chosen = if nth == "L" { same.last() } else { same.get(nth.parse::<usize>().unwrap() - 1) };
    of_day && chosen == Some(&date)
}

/// Expressions without names, many of them with times at which clocks change.
pub(super) fn expressions() -> impl Strategy<Value = String> {
    let field = |low: u32, high: u32, often: &'static str| {
        let number = (low..=high).prop_map(|number| number.to_string());
        let range = (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
        let stepped = (range.clone(), 1_u32..40).prop_map(|(range, step)| format!("{range}/{step}"));
        let every = (1_u32..40).prop_map(|step| format!("*/{step}"));
        let entry = prop_oneof![4 => number.clone(), 2 => range, 1 => stepped, 1 => every];
        let list = prop::collection::vec(entry, 1..4).prop_map(|entries| entries.join(","));
        prop_oneof![2 => number, 2 => list, 2 => Just(often.to_owned())]
    };
    let month_days = prop_oneof![4 => Just("*".to_owned()), 3 => field(1, 31, "*"), 1 => Just("L".to_owned()),
        1 => Just("LW".to_owned()), 1 => (1..=31).prop_map(|day| format!("{day}W"))];
    let week_days = prop_oneof![4 => Just("*".to_owned()), 3 => field(0, 7, "*"),
        1 => (0..=7, 1..=5).prop_map(|(day, nth)| format!("{day}#{nth}")), 1 => (0..=7).prop_map(|day| format!("{day}#L"))];
    let months = prop_oneof![4 => Just("*".to_owned()), 1 => field(1, 12, "*")];
    let second = prop_oneof![3 => Just(String::new()), 1 => (0..60).prop_map(|second| format!("{second} "))];
    let and = prop_oneof![3 => Just(""), 1 => Just("+")];
    let time = (second, field(0, 59, "0,30"), prop_oneof![field(0, 23, "*"), field(0, 3, "2")]);
    (time, month_days, months, and, week_days).prop_map(|((second, minute, hour), day, month, and, weekday)| {
        format!("{second}{minute} {hour} {day} {month} {and}{weekday}")
    })
}
