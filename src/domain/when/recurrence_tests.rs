//! The rules that say when a recurring conversation is due.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::matcher_tests::{Matcher, expressions};
use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn recurrence(cron: &str, name: &str) -> Recurrence {
    let cron = cron.parse().unwrap_or_else(|wrong| panic!("{cron} {wrong}"));
    Recurrence { cron, zone: zone(name), period: None, end: None, max_occurrences: None, stop_on_failure: false }
}

/// The next occurrences, as the clocks of the zone show them, without the name of the zone and the milliseconds.
fn next(cron: &str, name: &str, start: &str, count: usize) -> Vec<String> {
    let recurrence = recurrence(cron, name);
    let first = recurrence.first(at(start));
    let instants = std::iter::successors(first, |at| recurrence.next_after(*at)).take(count);
    instants.map(|at| zone(name).at(at).to_string().split_once('[').unwrap().0.replace(".000", "")).collect()
}

fn refused(cron: &str) -> String {
    let written = WrittenRecurrence { cron, ..WrittenRecurrence::default() };
    match written.resolve(None, at("2030-01-01T00:00Z")) {
        Ok(accepted) => panic!("{cron}: {accepted:?}"),
        Err(wrong) => wrong[0].to_string(),
    }
}

#[test]
fn the_most_occurrences_on_a_day_follow_from_the_expression_and_from_their_number() {
    for (cron, max_occurrences, most) in [
        ("*/30 9-16 * * MON", None, 16),
        ("0 * * * *", None, 24),
        ("15 30 9,10 * * *", None, 2),
        ("0 * * * *", Some(3), 3),
        ("0 9 * * *", Some(3), 1),
    ] {
        let recurrence = Recurrence { max_occurrences, ..recurrence(cron, "UTC") };
        assert_eq!(recurrence.most_per_day(), most, "{cron} {max_occurrences:?}");
    }
}

#[test]
fn a_fixed_time_in_a_gap_is_once_at_its_end() {
    let expected = ["2030-03-30T02:30:00+01:00", "2030-03-31T03:00:00+02:00", "2030-04-01T02:30:00+02:00"];
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2030-03-30T00:00Z", 3), expected);
    let expected = ["2030-03-31T03:00:00+02:00", "2030-04-01T02:00:00+02:00"];
    assert_eq!(next("0,30 2 * * *", "Europe/Berlin", "2030-03-31T00:00Z", 2), expected, "a list is fixed times too");
    assert_eq!(next("0 2,3 * * *", "Europe/Berlin", "2030-03-31T00:00Z", 2), expected, "03:00 is not there twice");
    let expected = ["2030-03-31T03:00:15+02:00", "2030-04-01T02:30:15+02:00"];
    assert_eq!(next("15 30 2 * * *", "Europe/Berlin", "2030-03-31T00:00Z", 2), expected, "the second is kept");
    assert_eq!(next("15 30 2 * * *", "Europe/Berlin", "2030-03-31T01:00:10Z", 2), expected, "also after the gap");
    // The gap is 23:00 to 24:00 on Saturday.
    let expected = ["2031-03-30T00:00:00-01:00", "2031-04-05T23:30:00-01:00"];
    assert_eq!(next("30 23 * * SAT", "America/Scoresbysund", "2031-03-24T00:00Z", 2), expected, "on the next day");
}

#[test]
fn a_fixed_time_in_a_fold_is_once_at_the_first() {
    let expected = ["2030-10-27T02:30:00+02:00", "2030-10-28T02:30:00+01:00"];
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2030-10-26T12:00Z", 2), expected);
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2030-10-27T00:45Z", 1), expected[1..]);
    let expected = ["2030-10-27T02:00:00+02:00", "2030-10-27T02:30:00+02:00", "2030-10-28T02:00:00+01:00"];
    assert_eq!(next("0,30 2 * * *", "Europe/Berlin", "2030-10-26T12:00Z", 3), expected);
}

#[test]
fn an_interval_goes_on_through_gap_and_fold() {
    let expected = ["2030-03-31T01:30:00+01:00", "2030-03-31T03:00:00+02:00", "2030-03-31T03:30:00+02:00"];
    assert_eq!(next("*/30 * * * *", "Europe/Berlin", "2030-03-31T00:30Z", 3), expected);
    let expected = [
        "2030-10-27T02:20:00+02:00",
        "2030-10-27T02:50:00+02:00",
        "2030-10-27T02:20:00+01:00",
        "2030-10-27T02:50:00+01:00",
        "2030-10-27T03:20:00+01:00",
    ];
    assert_eq!(next("20-50/30 * * * *", "Europe/Berlin", "2030-10-27T00:00Z", 5), expected);
    // In a fold of half an hour at Lord Howe, 01:30 to 02:00 comes twice.
    let expected = ["2030-04-07T01:40:00+11:00", "2030-04-07T01:40:00+10:30", "2030-04-07T02:40:00+10:30"];
    assert_eq!(next("40 * * * *", "Australia/Lord_Howe", "2030-04-06T14:00Z", 3), expected);
    // The clocks of Berlin go forward at 02:00 on the last Sunday of March.
    let none = next("*/10 2 * 3 +SUN#L", "Europe/Berlin", "2030-01-01T00:00Z", 1);
    assert!(none.is_empty(), "always in the gap: {none:?}");
}

#[test]
fn the_calendar_of_ocps() {
    for (cron, expected) in [
        ("0 9 29 2 *", "2032-02-29T09:00:00"),
        ("0 9 L * *", "2030-01-31T09:00:00"),
        ("0 9 LW 3 *", "2030-03-29T09:00:00"),
        ("0 9 1W 6 *", "2030-06-03T09:00:00"),
        ("0 9 * * FRI#2", "2030-01-11T09:00:00"),
        ("0 9 * * 5L", "2030-01-25T09:00:00"),
        ("0 9 * jan fri#L", "2030-01-25T09:00:00"),
        ("0 9 13 * FRI", "2030-01-04T09:00:00"),
        ("0 9 13 * +FRI", "2030-09-13T09:00:00"),
        ("0 9 ? * 7", "2030-01-06T09:00:00"),
        ("0 9 *,13 * FRI", "2030-01-04T09:00:00"),
        ("0 9 13,* * FRI", "2030-01-01T09:00:00"),
        ("0 9 1-31 * FRI", "2030-01-01T09:00:00"),
        ("0 9 * * FRI-SUN", "2030-01-04T09:00:00"),
        ("*/90 9 * * *", "2030-01-01T09:00:00"),
        ("\t 30 0  9 1 1 *  ", "2030-01-01T09:00:30"),
        ("0 0 29 2 +MON", "2044-02-29T00:00:00"),
        ("@yearly", "2031-01-01T00:00:00"),
        ("@annually", "2031-01-01T00:00:00"),
        ("@monthly", "2030-02-01T00:00:00"),
        ("@weekly", "2030-01-06T00:00:00"),
        ("@daily", "2030-01-02T00:00:00"),
        ("@midnight", "2030-01-02T00:00:00"),
        (" @hourly", "2030-01-01T01:00:00"),
    ] {
        assert_eq!(next(cron, "UTC", "2030-01-01T00:00:01Z", 1), [format!("{expected}+00:00")], "{cron}");
    }
}

#[test]
fn a_text_that_is_no_cron_expression_is_corrected() {
    for (cron, part) in [
        ("", "has 0 fields; write five"),
        ("0 9 * *", "has 4 fields; write five"),
        ("0 0 9 * * * 2030", "has 7 fields; write five"),
        ("every day", "has 2 fields; write five"),
        ("0 9 * * *; ls", "no cron expression has"),
        ("0 9 * * Ｍ", "no cron expression has"),
        ("@Daily", "use @hourly, @daily"),
        ("@daily 0 0 * * *", "use @hourly, @daily"),
        ("@reboot", "names no time"),
        ("*/10 * * * * *", "at least a minute apart"),
        ("0,30 0 9 * * *", "at least a minute apart"),
        ("60 9 * * *", "\"60\" in the field of the minute, but an entry there is a number from 0 to 59"),
        ("0 24 * * *", "\"24\" in the field of the hour"),
        ("0 9 0 * *", "\"0\" in the field of the day of month"),
        ("0 9 MON * *", "\"MON\" in the field of the day of month"),
        ("0 9 * 13 *", "\"13\" in the field of the month, but an entry there is a number from 1 to 12"),
        ("0 9 * * MONDAY", "a name from SUN to SAT"),
        ("0 9 * * SUNMON", "a name from SUN to SAT"),
        ("0 9 * * JAN", "\"JAN\" in the field of the day of week"),
        ("0 9 * * L", "\"L\" in the field of the day of week"),
        ("1,,2 9 * * *", "\"\" in the field of the minute"),
        ("*,61 9 * * *", "\"61\" in the field of the minute"),
        ("0 22-5 * * *", "a range ends after it begins; write two ranges"),
        ("*/0 * * * *", "a step is a number from 1"),
        ("*/x * * * *", "a step is a number from 1"),
        ("0/15 * * * *", "a step follows * or a range, such as */15 or 0-59/15"),
        ("/15 * * * *", "a step follows * or a range"),
        ("? 9 * * *", "\"?\" in the field of the minute"),
        ("0 9 1W,15W * *", "W is for a single day"),
        ("0 9 1-15W * *", "\"1-15W\" in the field of the day of month"),
        ("0 9 +1 * MON", "\"+1\" in the field of the day of month"),
        ("0 9 * * FRI#6", "a number from 1 to 5, or L"),
        ("0 9 30 2 *", "never fires"),
        ("0 9 31 4,6,9,11 *", "never fires"),
        ("0 9 29 2 +MON#1", "never fires"),
    ] {
        let said = refused(cron);
        assert!(said.contains(part), "{cron}: {said}");
    }
    assert!(refused(&"1,".repeat(100_000)).contains("is longer than 256"));
}

#[test]
fn all_wrong_fields_of_a_recurrence_are_told_at_once() {
    let written = WrittenRecurrence {
        cron: "0 25 * * *",
        time_zone: Some("Berlin"),
        end_time: Some("tomorrow"),
        max_occurrences: Some(0),
        stop_on_failure: false,
        ..WrittenRecurrence::default()
    };
    let wrong = written.resolve(None, Timestamp::MIN).unwrap_err();
    let fields: Vec<_> = wrong.iter().map(InvalidRecurrence::field).collect();
    let expected =
        [RecurrenceField::Cron, RecurrenceField::TimeZone, RecurrenceField::EndTime, RecurrenceField::MaxOccurrences];
    assert_eq!(fields, expected);
    assert_eq!(wrong[3].to_string(), "must be a number from 1 to 4294967295, such as 10; leave it out for no limit");
}

#[test]
fn the_end_is_read_in_the_zone_and_is_not_before_the_first_occurrence() {
    let written = |end| WrittenRecurrence { cron: "0 9 * * *", end_time: Some(end), ..WrittenRecurrence::default() };
    let resolve = |end, zone| written(end).resolve(zone, at("2030-06-01T00:00Z"));
    let berlin = Some(zone("Europe/Berlin"));
    let (recurrence, first) = resolve("2030-06-02T09:00", berlin).unwrap();
    assert_eq!((first, recurrence.zone.name()), (at("2030-06-01T07:00Z"), "Europe/Berlin"));
    assert_eq!(recurrence.next_after(first), Some(at("2030-06-02T07:00Z")), "the end itself is included");
    assert_eq!(recurrence.next_after(at("2030-06-02T07:00Z")), None);
    let wrong = resolve("2030-06-01T08:59", berlin).unwrap_err();
    let said = "is before the first occurrence: it was read as 2030-06-01T06:59:00.000Z, and the first occurrence would \
                be at 2030-06-01T09:00:00.000+02:00[Europe/Berlin]";
    assert_eq!((wrong[0].field(), wrong[0].to_string().as_str()), (RecurrenceField::EndTime, said));
    assert_eq!(resolve("2030-06-02T00:00Z", None).unwrap().0.zone, Zone::UTC);
}

#[test]
fn missed_occurrences_become_the_latest_one() {
    let mut hourly = recurrence("0 * * * *", "UTC");
    let after = |recurrence: &Recurrence, now: &str| {
        let next = recurrence.after_occurrence(1, at("2030-01-01T00:00Z"), at(now));
        next.map(|next| (next.due.to_string().replace(":00.000", ""), next.missed))
    };
    let expected = |due: &str, missed| Some((due.to_owned(), missed));
    assert_eq!(after(&hourly, "2030-01-01T00:00:07Z"), expected("2030-01-01T01:00Z", 0));
    assert_eq!(after(&hourly, "2030-01-01T01:00:00Z"), expected("2030-01-01T01:00Z", 0), "due now");
    assert_eq!(
        after(&hourly, "2030-01-01T01:59:59.999Z"),
        expected("2030-01-01T01:00Z", 0),
        "late, but none is left out"
    );
    assert_eq!(after(&hourly, "2030-01-01T05:30Z"), expected("2030-01-01T05:00Z", 4));
    assert_eq!(after(&hourly, "2030-01-01T05:00Z"), expected("2030-01-01T05:00Z", 4));
    hourly.end = Some(at("2030-01-01T03:00Z"));
    assert_eq!(after(&hourly, "2030-01-01T05:30Z"), expected("2030-01-01T03:00Z", 2), "none after the end");
    assert_eq!(hourly.after_occurrence(4, at("2030-01-01T03:00Z"), at("2030-01-01T05:30Z")), None);
}

#[test]
fn the_count_of_occurrences_is_limited_and_a_missed_group_counts_once() {
    let limited = Recurrence { max_occurrences: Some(3), ..recurrence("0 * * * *", "UTC") };
    let [last, now] = [at("2030-01-01T00:00Z"), at("2030-01-01T05:30Z")];
    assert_eq!(limited.after_occurrence(2, last, now).map(|next| next.missed), Some(4));
    assert_eq!(limited.after_occurrence(3, last, now), None);
}

#[test]
fn the_missed_occurrences_of_ten_years_are_counted_quickly() {
    let started = Instant::now();
    let [last, now] = [at("2030-01-01T00:00Z"), at("2040-01-01T00:00:30Z")];
    for cron in ["* * * * *", "0-59 0-23 * * *", "0 9 29 2 *"] {
        let next = recurrence(cron, "Europe/Berlin").after_occurrence(1, last, now).unwrap();
        let expected = if cron.starts_with("0 9") { ("2036-02-29T08:00Z", 1) } else { ("2040-01-01T00:00Z", 1000) };
        assert_eq!((next.due, next.missed), (at(expected.0), expected.1), "{cron}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn the_search_for_a_time_that_never_comes_is_bounded() {
    for cron in ["0 9 30 2 *", "0 9 29 2 +MON#1", "0 9 31 2,4,6,9,11 *", "* * 1 * +SUN#5", "*/10 2 * 3 +SUN#L"] {
        let started = Instant::now();
        assert_eq!(recurrence(cron, "Europe/Berlin").first(at("2030-01-01T00:00Z")), None, "{cron}");
        assert!(started.elapsed() < Duration::from_secs(5), "{cron}: {:?}", started.elapsed());
    }
}

/// Changes of the clocks of a zone from 1990 to 2037, as instants.
fn changes(zone: Zone) -> Vec<Timestamp> {
    let day = |n: i64| Timestamp::from_millis(631_152_000_000 + n * 86_400_000);
    let offset = |at: Timestamp| zone.at(at).offset();
    let days = (0..47 * 365).step_by(7).filter(|n| offset(day(*n)) != offset(day(n + 7)));
    days.map(|n| {
        let (mut before, mut after) = (day(n), day(n + 7));
        while before.until(after) > Duration::from_millis(1) {
            let middle = before + before.until(after) / 2;
            if offset(middle) == offset(before) { before = middle } else { after = middle }
        }
        after
    })
    .collect()
}

/// A zone and an instant from 1990 to 2036, for three of four within two days before a change of the clocks.
fn starts() -> impl Strategy<Value = (Zone, Timestamp)> {
    let zones: Vec<_> = Zone::all().collect();
    let millis = (0_i64..47 * 365 * 86_400_000, 0_u64..172_800_000, any::<prop::sample::Index>(), 0..4);
    (prop::sample::select(zones), millis).prop_map(|(zone, (any, before, index, near))| {
        let changes = if near > 0 { changes(zone) } else { Vec::new() };
        let anywhere = Timestamp::from_millis(631_152_000_000 + any);
        let change = (!changes.is_empty()).then(|| changes[index.index(changes.len())]);
        (zone, change.map_or(anywhere, |change| change - Duration::from_millis(before)))
    })
}

/// The dates in Berlin on which a recurrence with these periods occurs.
fn dates(cron: &str, (days, weeks): (Option<u64>, Option<u64>), start: &str, count: usize) -> Vec<String> {
    let written = WrittenRecurrence { cron, every_days: days, every_weeks: weeks, ..WrittenRecurrence::default() };
    let (recurrence, first) = written.resolve(Some(zone("Europe/Berlin")), at(start)).unwrap();
    let instants = std::iter::successors(Some(first), |at| recurrence.next_after(*at)).take(count);
    instants.map(|at| recurrence.zone.at(at).wall().format("%a %m-%d %H:%M").to_string()).collect()
}

#[test]
fn every_second_week_is_counted_from_the_week_of_the_first_occurrence() {
    let weeks = |weeks| (None, Some(weeks));
    // The clocks change on 31 March.
    let expected = ["Fri 03-22 09:00", "Fri 04-05 09:00", "Fri 04-19 09:00", "Fri 05-03 09:00", "Fri 05-17 09:00"];
    assert_eq!(dates("0 9 * * FRI", weeks(2), "2030-03-16T00:00Z", 5), expected);
    assert_eq!(dates("0 9 * * FRI", weeks(2), "2030-03-22T08:00Z", 5), expected, "from the instant itself");
    let expected = ["Fri 12-20 09:00", "Fri 01-03 09:00", "Fri 01-17 09:00"];
    assert_eq!(dates("0 9 * * FRI", weeks(2), "2030-12-17T00:00Z", 3), expected, "over the end of a year");
    let expected = ["Sun 01-06 09:00", "Mon 01-14 09:00", "Sun 01-20 09:00", "Mon 01-28 09:00"];
    assert_eq!(dates("0 9 * * MON,SUN", weeks(2), "2030-01-05T00:00Z", 4), expected, "a week begins on Monday");
    let expected = ["Tue 01-01 00:00", "Tue 01-01 12:00", "Tue 01-22 00:00", "Tue 01-22 12:00"];
    assert_eq!(dates("0 */12 * * TUE", weeks(3), "2029-12-31T00:00Z", 4), expected);
    let expected = ["Tue 01-01 09:00", "Wed 01-02 09:00"];
    assert_eq!(dates("0 9 * * *", weeks(1), "2030-01-01T00:00Z", 2), expected, "each week");
}

#[test]
fn every_third_day_goes_on_over_the_end_of_a_month() {
    let expected = ["Tue 01-29 09:00", "Fri 02-01 09:00", "Mon 02-04 09:00"];
    assert_eq!(dates("0 9 * * *", (Some(3), None), "2030-01-29T00:00Z", 3), expected);
    // In 2032 and 2040, because the day in 2036 is an odd number of days after the first.
    let expected = ["Sun 02-29 09:00", "Wed 02-29 09:00"];
    assert_eq!(dates("0 9 29 2 *", (Some(2), None), "2032-01-01T00:00Z", 2), expected);
    // Each 365th day is a Friday in each seventh year only.
    let expected = ["Fri 01-04 09:00", "Fri 01-02 09:00"];
    assert_eq!(dates("0 9 * * FRI", (Some(365), None), "2030-01-01T00:00Z", 2), expected);
}

#[test]
fn a_period_outside_its_limits_and_two_periods_are_refused() {
    let refused = |days, weeks| {
        let written = WrittenRecurrence { cron: "@daily", every_days: days, every_weeks: weeks, ..Default::default() };
        written.resolve(None, at("2030-01-01T00:00Z")).unwrap_err()[0].clone()
    };
    assert_eq!(refused(Some(0), None), InvalidRecurrence::EveryDays);
    assert_eq!(refused(Some(367), None), InvalidRecurrence::EveryDays);
    assert_eq!(refused(None, Some(0)), InvalidRecurrence::EveryWeeks);
    assert_eq!(refused(None, Some(53)), InvalidRecurrence::EveryWeeks);
    assert_eq!(refused(Some(2), Some(2)), InvalidRecurrence::TwoPeriods);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The occurrences are those of the expression alone, on the dates that a plain count of days gives.
    #[test]
    fn a_period_leaves_out_whole_weeks_or_days(
        cron in prop::sample::select(vec!["0 9 * * FRI", "30 2 * * *", "0 0 * * MON,THU", "15 */6 * * SUN", "0 23 1,15 * *"]),
        name in prop::sample::select(vec!["Europe/Berlin", "America/Santiago", "Atlantic/Azores", "Pacific/Apia", "UTC"]),
        start in 1_893_456_000_000_i64..1_956_528_000_000,
        length in 2_u64..9,
        in_weeks: bool,
    ) {
        let (every_days, every_weeks) = if in_weeks { (None, Some(length)) } else { (Some(length), None) };
        let written = WrittenRecurrence { cron, every_days, every_weeks, ..WrittenRecurrence::default() };
        let (recurrence, first) = written.resolve(Some(zone(name)), Timestamp::from_millis(start)).unwrap();
        let found: Vec<_> = std::iter::successors(Some(first), |at| recurrence.next_after(*at)).take(20).collect();
        let plain = Recurrence { period: None, ..recurrence.clone() };
        let date = |instant: &Timestamp| zone(name).at(*instant).wall().date();
        let begins = |day: chrono::NaiveDate| if in_weeks { day.week(chrono::Weekday::Mon).first_day() } else { day };
        let step = if in_weeks { 7 } else { 1 } * i64::try_from(length).unwrap();
        let counts = |at: &Timestamp| (begins(date(at)) - begins(date(&first))).num_days() % step == 0;
        let all = std::iter::successors(plain.first(Timestamp::from_millis(start)), |at| plain.next_after(*at));
        let expected: Vec<_> = all.filter(counts).take(20).collect();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a walk over each minute that asks a matcher of the test's own.
    #[test]
    fn occurrences_are_the_matching_minutes(written in expressions(), (zone, start) in starts()) {
        let cron: Cron = written.parse().unwrap();
        let matcher = Matcher::of(&written);
        let mut last = start;
        for expected in matcher.occurrences(zone, start).into_iter().take(40) {
            let next = cron.next_after(last, zone);
            prop_assert_eq!(next, Some(expected), "{} {} after {}, not {}", written, zone.name(), zone.at(last), zone.at(expected));
            prop_assert!(last == start || last.until(expected) >= Duration::from_mins(1));
            last = expected;
        }
        if let Some(later) = cron.next_after(last, zone) {
            prop_assert!(later > last);
        }
    }

    #[test]
    fn no_text_panics_and_each_answer_is_quick(
        text in ".{0,40}",
        fields in prop::collection::vec("[0-9*,/LW#?+A-Z-]{1,6}", 5..=6),
        (zone, start) in starts(),
    ) {
        let started = Instant::now();
        for text in [text, fields.join(" ")] {
            if let Ok(cron) = text.parse::<Cron>() {
                let next = cron.next_after(start, zone);
                prop_assert!(next.is_none_or(|next| next > start));
            }
        }
        prop_assert!(started.elapsed() < Duration::from_secs(10));
    }
}
