//! The arguments that say when a text is delivered.

use clap::Args;
use serde_json::{Map, Value};

// No doc comments: they would be the text of each command that has these arguments.
#[derive(Debug, Args)]
pub(super) struct TimeArguments {
    /// The time from now, such as 5m, 1h30m or PT5M
    #[arg(long = "in", value_name = "TIME", conflicts_with = "at")]
    delay: Option<String>,
    /// The time, in RFC 3339; without an offset it is read in the zone of --zone, or else as UTC
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The time zone, a name of the IANA database such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct WhenArguments {
    #[command(flatten)]
    pub(super) time: TimeArguments,
    /// Again and again, at the times of this cron expression; --in or --at then says from when on
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Only every so many weeks, counted from the first time: 2 for every second week
    #[arg(long, value_name = "N", requires = "cron")]
    every_weeks: Option<u16>,
    /// Only every so many days, counted from the first time
    #[arg(long, value_name = "N", requires = "cron", conflicts_with = "every_weeks")]
    every_days: Option<u16>,
}

impl TimeArguments {
    /// The members of a request.
    pub(super) fn members(&self) -> Map<String, Value> {
        let members = [("delay", &self.delay), ("scheduledTime", &self.at), ("timeZone", &self.zone)];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.as_deref()?.into()))).collect()
    }
}

impl WhenArguments {
    /// The members of a request.
    pub(super) fn members(&self) -> Map<String, Value> {
        let mut members = self.time.members();
        if let Some(cron) = &self.cron {
            let mut recurrence = Map::from_iter([("cron".to_owned(), cron.as_str().into())]);
            let periods = [("everyWeeks", self.every_weeks), ("everyDays", self.every_days)];
            for (name, length) in periods.into_iter().filter_map(|(name, length)| Some((name, length?))) {
                recurrence.insert(name.to_owned(), length.into());
            }
            members.insert("recurrence".to_owned(), Value::Object(recurrence));
        }
        members
    }
}
