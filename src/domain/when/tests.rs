//! The rules that say which instant the fields mean.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::InvalidTime;

/// 2030-01-01T09:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_893_488_400_000);

fn resolve(scheduled_time: &str, time_zone: Option<&str>) -> Result<DueTime, Vec<InvalidWhen>> {
    When { scheduled_time: Some(scheduled_time), delay: None, time_zone }.resolve(NOW)
}

fn delayed(delay: &str, time_zone: Option<&str>) -> Result<DueTime, Vec<InvalidWhen>> {
    When { scheduled_time: None, delay: Some(delay), time_zone }.resolve(NOW)
}

/// The instant, and the notes as text.
fn read(scheduled_time: &str, time_zone: Option<&str>) -> (String, Vec<String>) {
    let due = resolve(scheduled_time, time_zone).unwrap_or_else(|wrong| panic!("{scheduled_time}: {wrong:?}"));
    (due.instant().to_string(), due.notes().iter().map(Note::to_string).collect())
}

/// The texts of the errors.
fn refused(scheduled_time: &str, time_zone: Option<&str>) -> Vec<String> {
    resolve(scheduled_time, time_zone).unwrap_err().iter().map(InvalidWhen::to_string).collect()
}

#[test]
fn one_instant_has_many_forms() {
    for (text, zone) in [
        ("2030-06-01T12:00:00Z", None),
        ("2030-06-01T14:00:00+02:00", None),
        ("2030-06-01T14:00:00+02:00", Some("Europe/Berlin")),
        ("2030-06-01T14:00", Some("Europe/Berlin")),
        ("2030-06-01 14:00:00", Some("europe/berlin")),
        ("2030-06-01T14:00[Europe/Berlin]", None),
        ("2030-06-01T14:00:00+02:00[Europe/Berlin]", None),
        ("2030-06-01T14:00:00+02:00[Europe/Berlin]", Some("Europe/Berlin")),
        ("2030-06-01T14:00+02:00[!Europe/Berlin]", None),
        ("2030-06-01T14:00+02:00[Europe/Berlin][u-ca=gregory]", None),
        ("2030-06-01T14:00+02:00[u-ca=gregory]", None),
        ("2030-06-01T12:00:00Z", Some("Europe/Berlin")),
        ("2030-06-01T12:00:00Z[Europe/Berlin]", None),
        ("2030-06-01T12:00:00-00:00", Some("Europe/Berlin")),
        ("2030-06-01T08:00:00", Some("America/New_York")),
    ] {
        assert_eq!(read(text, zone), ("2030-06-01T12:00:00.000Z".to_owned(), vec![]), "{text} {zone:?}");
    }
}

#[test]
fn a_time_without_offset_and_zone_is_utc_and_a_note_says_so() {
    let (instant, notes) = read("2030-06-01T12:00", None);
    assert_eq!(instant, "2030-06-01T12:00:00.000Z");
    let said = "scheduledTime has no UTC offset and no time zone was given, so it was read as UTC.";
    assert_eq!(notes, [said]);
    assert_eq!(read("2030-06-01T12:00", Some("UTC")), (instant, vec![]));
}

#[test]
fn a_time_in_a_gap_shifts_forward_and_a_note_says_so() {
    let (instant, notes) = read("2030-03-31T02:30:00", Some("Europe/Berlin"));
    assert_eq!(instant, "2030-03-31T01:30:00.000Z");
    let said = "2030-03-31T02:30:00 does not exist in Europe/Berlin, because the clocks go forward over it. It was read \
                as 2030-03-31T03:30:00.000+02:00[Europe/Berlin].";
    assert_eq!(notes, [said]);
}

#[test]
fn a_time_in_a_fold_is_the_first_and_a_note_says_so() {
    let (instant, notes) = read("2030-10-27T02:30[Europe/Berlin]", None);
    assert_eq!(instant, "2030-10-27T00:30:00.000Z");
    let said = "2030-10-27T02:30:00 happens twice in Europe/Berlin, because the clocks go back. It was read as the \
                first, 2030-10-27T02:30:00.000+02:00[Europe/Berlin]; the second is \
                2030-10-27T02:30:00.000+01:00[Europe/Berlin].";
    assert_eq!(notes, [said]);
    for (offset, instant) in [("+02:00", "2030-10-27T00:30:00.000Z"), ("+01:00", "2030-10-27T01:30:00.000Z")] {
        let text = format!("2030-10-27T02:30{offset}[Europe/Berlin]");
        assert_eq!(read(&text, None), (instant.to_owned(), vec![]), "an offset chooses one of the two");
    }
}

#[test]
fn an_offset_that_the_zone_does_not_have_is_refused_with_both_named() {
    let said = "has the UTC offset +01:00, but Europe/Berlin has +02:00 at that time; write \
                2030-06-01T15:00:00.000+02:00[Europe/Berlin] if the offset is right, or leave out the offset if the time \
                of day is right";
    assert_eq!(refused("2030-06-01T14:00+01:00", Some("Europe/Berlin")), [said]);
    assert_eq!(refused("2030-06-01T14:00+01:00[Europe/Berlin]", None), [said]);
    assert_eq!(read("2030-06-01T15:00:00.000+02:00[Europe/Berlin]", None).0, "2030-06-01T13:00:00.000Z");
    for text in ["2030-06-01T14:00+00:00", "2030-03-31T02:30+01:00", "2030-03-31T02:30+02:00", "2030-06-01T14:00-02:00"]
    {
        let wrong = resolve(text, Some("Europe/Berlin")).unwrap_err();
        assert!(matches!(*wrong, [InvalidWhen::OffsetAndZone { .. }]), "{text}: {wrong:?}");
    }
}

#[test]
fn brackets_that_are_not_one_known_zone_are_refused() {
    let two = "has the time zone Europe/Paris in brackets, but timeZone is Europe/Berlin; keep one of them";
    assert_eq!(refused("2030-06-01T14:00[Europe/Paris]", Some("Europe/Berlin")), [two]);
    let unknown = "has a name in brackets that is not a time zone of the IANA database; use Europe/Berlin";
    assert_eq!(refused("2030-06-01T14:00[Berlin]", None), [unknown]);
    for text in [
        "2030-06-01T14:00[]x",
        "2030-06-01T14:00[Europe/Berlin",
        "2030-06-01T14:00[Europe/Berlin]Z",
        "2030-06-01T14:00[Europe/Berlin][Europe/Paris]",
        "2030-06-01T14:00[u-ca=gregory][Europe/Berlin]",
        "2030-06-01T14:00[Europe/Berlin][!u-ca=hebrew]",
        "2030-06-01T14:00Z[!x=y]",
        "2030-06-01T14:00Z[+02:00]",
    ] {
        let wrong = resolve(text, None).unwrap_err();
        let brackets = matches!(*wrong, [InvalidWhen::Brackets | InvalidWhen::ZoneInBrackets(_)]);
        assert!(brackets, "{text}: {wrong:?}");
    }
    for text in ["[Europe/Berlin]", "tomorrow[Europe/Berlin]", "2030-02-30T09:00[Europe/Berlin]"] {
        assert!(matches!(*resolve(text, None).unwrap_err(), [InvalidWhen::Time(_)]), "{text}");
    }
}

#[test]
fn exactly_one_field_says_when() {
    let of = |scheduled_time, delay| When { scheduled_time, delay, time_zone: None }.resolve(NOW).unwrap_err();
    assert_eq!(of(None, None), [InvalidWhen::Missing]);
    assert_eq!(of(Some("2030-01-01T10:00Z"), Some("5m")), [InvalidWhen::Both]);
}

#[test]
fn all_wrong_fields_are_told_at_once() {
    let wrong = resolve("tomorrow", Some("Berlin")).unwrap_err();
    let fields: Vec<_> = wrong.iter().map(InvalidWhen::field).collect();
    assert_eq!(fields, [WhenField::ScheduledTime, WhenField::TimeZone]);
    let wrong = delayed("-5m", Some("+02:00")).unwrap_err();
    let expected = [InvalidWhen::Delay(InvalidDelay::Negative), InvalidWhen::TimeZone(UnknownZone::Offset)];
    assert_eq!(wrong, expected);
}

#[test]
fn a_delay_counts_from_now_and_ignores_clock_changes() {
    assert_eq!(delayed("1h30m", None).unwrap(), DueTime::at(NOW + std::time::Duration::from_mins(90)));
    let before_gap = Timestamp::parse("2030-03-30T12:00:00Z").unwrap();
    let when = When { delay: Some("P1D"), time_zone: Some("Europe/Berlin"), ..When::default() };
    let due = when.resolve(before_gap).unwrap();
    assert_eq!(due.instant().to_string(), "2030-03-31T12:00:00.000Z");
    let local = due.zone().unwrap().local(due.instant()).unwrap();
    assert_eq!(local.to_string(), "2030-03-31T14:00:00.000+02:00[Europe/Berlin]");
}

#[test]
fn a_time_may_be_a_minute_ago_and_ten_years_ahead() {
    let at = |ms: i64| resolve(&Timestamp::from_millis(NOW.as_millis() + ms).to_string(), None);
    assert_eq!(at(0).unwrap(), DueTime::at(NOW));
    for ms in [-PAST_TOLERANCE_MS, -1] {
        assert_eq!(at(ms).unwrap(), DueTime::at(NOW));
    }
    assert_eq!(at(1).unwrap().instant().as_millis(), NOW.as_millis() + 1);
    assert_eq!(at(HORIZON_MS).unwrap().instant().as_millis(), NOW.as_millis() + HORIZON_MS);
    assert!(matches!(*at(-PAST_TOLERANCE_MS - 1).unwrap_err(), [InvalidWhen::Past { .. }]));
    assert!(matches!(*at(HORIZON_MS + 1).unwrap_err(), [InvalidWhen::TooFar { field: WhenField::ScheduledTime, .. }]));
    assert!(delayed("3653d", None).is_ok());
    for text in ["3653d1s", "P600W"] {
        let wrong = delayed(text, None).unwrap_err();
        assert!(matches!(*wrong, [InvalidWhen::TooFar { field: WhenField::Delay, .. }]), "{wrong:?}");
    }
    let past = "is 3600 seconds in the past: it was read as 2030-01-01T08:00:00.000Z, and the server's time is \
                2030-01-01T09:00:00.000Z";
    assert_eq!(refused("2030-01-01T09:00", Some("Europe/Berlin")), [past]);
    assert_eq!(
        resolve("1970-01-01T00:30", Some("Europe/Berlin")),
        Err(vec![InvalidWhen::Time(InvalidTime::BeforeEpoch)])
    );
}

#[test]
fn the_zone_is_kept_with_its_database_and_the_wall_time_as_written() {
    let kept = |text: &str| resolve(text, Some("Europe/Berlin")).unwrap().zone().unwrap().clone();
    let record = |wall: Option<&str>| ZoneRecord {
        name: "Europe/Berlin".to_owned(),
        database: Zone::DATABASE.to_owned(),
        wall: wall.map(str::to_owned),
    };
    assert_eq!(kept("2030-03-31T02:30"), record(Some("2030-03-31T02:30:00")));
    assert_eq!(kept("2030-06-01T14:00:00.5+02:00"), record(Some("2030-06-01T14:00:00.500")));
    assert_eq!(kept("2030-06-01T12:00:00Z"), record(None));
    assert_eq!(delayed("5m", Some("Europe/Berlin")).unwrap().zone(), Some(&record(None)));
    assert_eq!(resolve("2030-06-01T14:00+02:00", None).unwrap().zone(), None);
}

fn zones() -> Vec<Zone> {
    Zone::all().collect()
}

/// A wall time from 1990 to 2036 in any zone: any one, or one within two hours of a change of the clocks.
fn walls() -> impl Strategy<Value = (Zone, NaiveDateTime)> {
    let start = NaiveDate::from_ymd_opt(1990, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
    let seconds = (0_i64..47 * 365 * 86400, -7200_i64..7200, any::<bool>());
    (prop::sample::select(zones()), seconds).prop_map(move |(zone, (after, around, near_change))| {
        let wall = start + TimeDelta::seconds(after);
        let change = near_change.then(|| next_change(zone, wall)).flatten();
        (zone, change.map_or(wall, |change| change + TimeDelta::seconds(around)))
    })
}

fn offset_at(zone: Zone, utc: NaiveDateTime) -> i64 {
    let instant = Timestamp::from_millis(utc.and_utc().timestamp_millis());
    zone.at(instant).offset().local_minus_utc().into()
}

/// The wall time at which the clocks of a zone next change, in the year after.
fn next_change(zone: Zone, from: NaiveDateTime) -> Option<NaiveDateTime> {
    let day = |n: i64| from + TimeDelta::days(n);
    let mut offsets = (0..27).map(|fortnight| (fortnight * 14, offset_at(zone, day(fortnight * 14))));
    let (_, old) = offsets.next()?;
    let (first, _) = offsets.find(|(_, offset)| *offset != old)?;
    let (mut before, mut after) = (day(first - 14), day(first));
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if offset_at(zone, middle) == old { before = middle } else { after = middle }
    }
    Some(after + TimeDelta::seconds(old))
}

/// The instants whose local time is the wall time, found by trying every offset that the zone has near it.
fn instants(zone: Zone, wall: NaiveDateTime) -> Vec<Timestamp> {
    let near = (-4..=4).map(|part| offset_at(zone, wall + TimeDelta::hours(part * 7)));
    let mut offsets: Vec<_> = near.collect();
    offsets.sort_unstable();
    offsets.dedup();
    let at = |offset: i64| Timestamp::from_millis((wall - TimeDelta::seconds(offset)).and_utc().timestamp_millis());
    let mut found: Vec<_> = offsets.into_iter().map(at).filter(|at| zone.at(*at).wall() == wall).collect();
    found.sort_unstable();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a search for the instants that show the wall time.
    #[test]
    fn a_wall_time_is_every_instant_that_shows_it((zone, wall) in walls()) {
        match (zone.read(wall).unwrap(), instants(zone, wall).as_slice()) {
            (Reading::Once(at), [one]) => prop_assert_eq!(at, *one),
            (Reading::Fold { first, second }, [one, two]) => prop_assert_eq!((first, second), (*one, *two)),
            (Reading::Gap(at), []) => {
                let shown = zone.at(at).wall();
                prop_assert!(shown > wall, "{shown} is not after {wall}");
                // The shift is the length of the gap: the difference of the offsets around it.
                let (before, after) = (at - std::time::Duration::from_hours(24), at);
                let length = zone.at(after).offset().local_minus_utc() - zone.at(before).offset().local_minus_utc();
                prop_assert_eq!((shown - wall).num_seconds(), i64::from(length));
            }
            (reading, found) => prop_assert!(false, "{} {wall}: {reading:?}, but {found:?}", zone.name()),
        }
    }

    #[test]
    fn every_instant_is_read_back_from_its_local_time(zone in prop::sample::select(zones()), ms in 0..HORIZON_MS) {
        let at = Timestamp::from_millis(NOW.as_millis() + ms);
        let due = resolve(&zone.at(at).to_string(), None).unwrap();
        prop_assert_eq!((due.instant(), due.notes()), (at, &[][..]));
        prop_assert_eq!(due.zone().unwrap().local(at), Some(zone.at(at)));
    }

    #[test]
    fn a_resolved_time_is_within_the_limits(ms in -2 * PAST_TOLERANCE_MS..HORIZON_MS + 1000, zone in prop::sample::select(zones())) {
        let at = NOW.as_millis() + ms;
        let text = DateTime::<Utc>::from_timestamp_millis(at).unwrap().to_rfc3339();
        let text = text.replace("+00:00", "Z");
        match resolve(&text, Some(zone.name())) {
            Ok(due) => {
                prop_assert!((-PAST_TOLERANCE_MS..=HORIZON_MS).contains(&ms));
                prop_assert_eq!(due.instant().as_millis(), at.max(NOW.as_millis()));
            }
            Err(_) => prop_assert!(!(-PAST_TOLERANCE_MS..=HORIZON_MS).contains(&ms)),
        }
    }

    /// The day 29 February exists in leap years alone, and every last day of a month exists.
    #[test]
    fn only_days_of_the_calendar_are_read(year in 2030_i32..2039, month in 1_u32..=12, day in 1_u32..=31) {
        let text = format!("{year}-{month:02}-{day:02}T12:00");
        if let Some(date) = NaiveDate::from_ymd_opt(year, month, day) {
            let due = resolve(&text, Some("UTC"));
            let read = DateTime::<Utc>::from_timestamp_millis(due.unwrap().instant().as_millis()).unwrap();
            prop_assert_eq!((read.year(), read.month(), read.day()), (date.year(), date.month(), date.day()));
        } else {
            let wrong = resolve(&text, Some("UTC")).unwrap_err();
            let no_such_day = matches!(*wrong, [InvalidWhen::Time(InvalidTime::NoSuchDay { .. })]);
            prop_assert!(no_such_day, "{wrong:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,40}", tail in "[0-9TtZz:.+\\-\\[\\]!=/A-Za-z]{0,30}", zone in ".{0,12}") {
        let _ = resolve(&text, Some(&zone));
        let _ = resolve(&format!("2030-06-01T12:00{tail}"), None);
        let _ = resolve(&format!("2030-06-01T12:00[{tail}]"), None);
    }
}
