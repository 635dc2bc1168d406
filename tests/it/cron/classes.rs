//! Why another implementation gives other times: a class for each reason. docs/decisions/0012-recurrence.md says for each
//! class which clause decides it.

use mcp_scheduler::domain::{CronField, EntryProblem, InvalidCron, Timestamp};

use super::Times;
use super::cases::Case;

/// The packages and the classes in which they differ from our code.
pub const CLASSES: &[(&str, &str)] = &[
    ("cron-parser", "a list or range in a fold"),
    ("cron-parser", "a list or range in a gap"),
    ("cron-parser", "a range with a step in a gap"),
    ("cron-parser", "a time in a fold"),
    ("cron-parser", "a time in a gap"),
    ("cron-parser", "a time with a second in a gap"),
    ("cron-parser", "accepts ? in a field that is not a day"),
    ("cron-parser", "accepts SUNMON"),
    ("cron-parser", "accepts a step without a range"),
    ("cron-parser", "accepts four fields"),
    ("cron-parser", "an interval in a fold"),
    ("cron-parser", "an interval in a gap"),
    ("cron-parser", "fires more than once a minute"),
    ("cron-parser", "loses times where summer time is half an hour"),
    ("cron-parser", "refuses # with a day of month"),
    ("cron-parser", "refuses +"),
    ("cron-parser", "refuses ?"),
    ("cron-parser", "refuses FRI-SUN"),
    ("cron-parser", "refuses W"),
    ("cron-parser", "refuses a list"),
    ("cron-parser", "refuses a nickname"),
    ("cron-parser", "refuses the last weekday"),
    ("croner", "* in a list of days"),
    ("croner", "a list or range in a fold"),
    ("croner", "a list or range in a gap"),
    ("croner", "a time with a second in a gap"),
    ("croner", "accepts ? in a field that is not a day"),
    ("croner", "accepts @Daily"),
    ("croner", "accepts W in a list"),
    ("croner", "fires more than once a minute"),
    ("croniter", "* in a list of days"),
    ("croniter", "*/n as one of two day fields"),
    ("croniter", "W with a day that the month does not have"),
    ("croniter", "a list or range in a fold"),
    ("croniter", "a range with a step in a gap"),
    ("croniter", "a time in a fold"),
    ("croniter", "a time with a second in a fold"),
    ("croniter", "accepts @Daily"),
    ("croniter", "accepts a range that ends before it begins"),
    ("croniter", "accepts a step without a range"),
    ("croniter", "an interval in a fold"),
    ("croniter", "an interval in a gap"),
    ("croniter", "and instead of or, with W, L or #"),
    ("croniter", "fires more than once a minute"),
    ("croniter", "refuses +"),
    ("croniter", "refuses W"),
    ("croniter", "refuses the last weekday"),
    ("cronsim", "* in a list of days"),
    ("cronsim", "*/n as one of two day fields"),
    ("cronsim", "a list or range in a fold"),
    ("cronsim", "a list or range in a gap"),
    ("cronsim", "a range with a step in a fold"),
    ("cronsim", "a range with a step in a gap"),
    ("cronsim", "a time with a second in a fold"),
    ("cronsim", "a time with a second in a gap"),
    ("cronsim", "accepts a step without a range"),
    ("cronsim", "an interval in a fold"),
    ("cronsim", "an interval in a gap"),
    ("cronsim", "fires more than once a minute"),
    ("cronsim", "loses times where summer time is half an hour"),
    ("cronsim", "refuses +"),
    ("cronsim", "refuses ?"),
    ("cronsim", "refuses FRI-SUN"),
    ("cronsim", "refuses W"),
    ("cronsim", "refuses a nickname"),
    ("cronsim", "refuses the last weekday"),
];

/// The end of the years that our code searches.
const END_OF_2099: i64 = 4_102_444_800;

/// Whether both give the same times. An expression that never fires may be refused, or have no times.
pub fn is_same(ours: &Times, theirs: &Times) -> bool {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (Ok(ours), Err(_)) => ours.is_empty(),
        (Err(_), theirs) => theirs.is_err(),
    }
}

/// The class of a difference.
pub fn class(case: &Case, ours: &Times, theirs: &Times) -> String {
    let fields = fields(&case.expression);
    match (ours, theirs) {
        (Err(why), _) => we_refuse(why.as_ref()).to_owned(),
        (Ok(_), Err(_)) => format!("refuses {}", syntax(&case.expression, &fields)),
        (Ok(ours), Ok(theirs)) => differs(case, &fields, ours, theirs),
    }
}

/// The six fields, or none for a nickname.
fn fields(expression: &str) -> Vec<&str> {
    let fields: Vec<_> = expression.split_whitespace().collect();
    if fields.len() == 5 { [vec!["0"], fields].concat() } else { fields }
}

fn we_refuse(why: Option<&InvalidCron>) -> &'static str {
    match why {
        Some(InvalidCron::TooOften) => "fires more than once a minute",
        Some(InvalidCron::FieldCount(_)) => "accepts four fields",
        Some(InvalidCron::Nickname) => "accepts @Daily",
        Some(InvalidCron::Entry { problem: EntryProblem::Backwards, .. }) => {
            "accepts a range that ends before it begins"
        }
        Some(InvalidCron::Entry { problem: EntryProblem::StepWithoutRange(_), .. }) => "accepts a step without a range",
        Some(InvalidCron::Entry { problem: EntryProblem::WeekdayInList, .. }) => "accepts W in a list",
        Some(InvalidCron::Entry { entry, .. }) if entry == "?" => "accepts ? in a field that is not a day",
        Some(InvalidCron::Entry { entry, field: CronField::DayOfWeek, .. }) if entry == "L" => {
            "accepts L as day of week"
        }
        Some(InvalidCron::Entry { entry, .. }) if entry == "SUNMON" => "accepts SUNMON",
        _ => "accepts another expression",
    }
}

/// The rarest syntax of an expression.
fn syntax(expression: &str, fields: &[&str]) -> &'static str {
    let [.., day, _, weekday] = fields else { return if expression.starts_with('@') { "a nickname" } else { "it" } };
    if weekday.starts_with('+') {
        "+"
    } else if day.ends_with('W') {
        "W"
    } else if weekday.ends_with('L') {
        "the last weekday"
    } else if [day, weekday].contains(&&"?") {
        "?"
    } else if *weekday == "FRI-SUN" {
        "FRI-SUN"
    } else if weekday.contains('#') && *day != "*" {
        "# with a day of month"
    } else if fields.iter().any(|field| field.contains(',')) {
        "a list"
    } else {
        "it"
    }
}

fn differs(case: &Case, fields: &[&str], ours: &[i64], theirs: &[i64]) -> String {
    let last = |times: &[i64]| times.last().copied().unwrap_or_default();
    if theirs.starts_with(ours) && last(theirs) >= END_OF_2099 {
        return "goes on after 2099".to_owned();
    }
    let (day, weekday) = (fields.get(3).copied().unwrap_or("*"), fields.get(5).copied().unwrap_or("*"));
    let both = ![day, weekday].contains(&"*");
    let (at_change, is_certain) = at_change(case, fields, ours, theirs);
    if let Some(at_change) = at_change.as_ref().filter(|_| is_certain) {
        at_change.clone()
    } else if [day, weekday].iter().any(|field| field.contains(',') && field.split(',').any(|entry| entry == "*")) {
        "* in a list of days".to_owned()
    } else if both && [day, weekday].iter().any(|field| field.starts_with("*/")) {
        "*/n as one of two day fields".to_owned()
    } else if both && (weekday.contains('#') || day.ends_with('W') || day.contains('L')) {
        "and instead of or, with W, L or #".to_owned()
    } else if day.ends_with('W') {
        "W with a day that the month does not have".to_owned()
    } else if let Some(at_change) = at_change {
        at_change
    } else if case.zone.name() == "Australia/Lord_Howe" {
        "loses times where summer time is half an hour".to_owned()
    } else {
        "other times".to_owned()
    }
}

/// If the times differ only within three hours of a change of the clocks: what the expression is, and what the change is.
/// Also, whether nothing else can be the reason: both have the same times elsewhere, or none.
fn at_change(case: &Case, fields: &[&str], ours: &[i64], theirs: &[i64]) -> (Option<String>, bool) {
    let change = |at: i64| {
        let offset = |hours: i64| case.zone.at(Timestamp::from_millis((at + hours * 3600) * 1000)).offset();
        let (before, after) = (offset(-3).local_minus_utc(), offset(3).local_minus_utc());
        if after > before { Some("gap") } else { (after < before).then_some("fold") }
    };
    let elsewhere = |times: &[i64]| times.iter().copied().filter(|at| change(*at).is_none()).collect::<Vec<_>>();
    let (our_rest, their_rest) = (elsewhere(ours), elsewhere(theirs));
    let both = our_rest.len().min(their_rest.len());
    let is_complete = ours.len() == theirs.len() && our_rest[..both] == their_rest[..both];
    let differing = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs).filter(|_| is_complete);
    let near = ours.iter().chain(theirs).filter(|time| change(**time).is_some());
    let nearest = differing.and_then(|(at, _)| near.min_by_key(|time| (*time - at).abs()));
    let class = nearest.and_then(|at| change(*at)).map(|change| format!("{} in a {change}", time_of_day(fields)));
    (class, both > 0 || our_rest.len() + their_rest.len() == 0)
}

fn time_of_day(fields: &[&str]) -> &'static str {
    let time = fields.get(1..3).unwrap_or(&["0", "0"]).join(" ");
    if time.contains('*') {
        "an interval"
    } else if time.contains('/') {
        "a range with a step"
    } else if time.contains([',', '-']) {
        "a list or range"
    } else if fields.first().is_some_and(|second| fields.len() == 6 && *second != "0") {
        "a time with a second"
    } else {
        "a time"
    }
}
