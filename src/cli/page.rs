//! What a person reads: times, labelled lines, tables and colours.

use std::fmt::Display;
use std::io::{self, IsTerminal as _};

use serde_json::Value;

use super::members::text;
use crate::config::Config;
use crate::domain::{Timestamp, Zone};
use crate::text::escape_invisible;
use crate::time::{Clock as _, SystemClock};

/// The longest text that is shown, in bytes.
const MAX_TEXT: usize = 4096;

/// How an answer is shown: when and where it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    now: Timestamp,
    zone: Zone,
    has_colour: bool,
}

/// A colour of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Bold,
    Red,
    Green,
    Yellow,
}

impl Page {
    /// The page of an answer. Its present is the time of the service, because that decides when a conversation is due.
    pub(super) fn of(config: &Config, answer: &Value) -> Self {
        Self {
            now: Timestamp::parse(text(answer, "serverTime")).unwrap_or_else(|_| SystemClock.now()),
            zone: zone(config.commands.time_zone.as_deref()),
            has_colour: config.telemetry.colour && io::stdout().is_terminal(),
        }
    }

    /// The same page for a person at another place.
    pub(super) const fn at(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// A time of an answer: local, in UTC, and from now.
    pub(super) fn time(&self, time: &str) -> String {
        let Ok(at) = Timestamp::parse(time) else { return time.to_owned() };
        let (utc, relative) = (wall(Zone::UTC, at), self.apart(at));
        if self.zone == Zone::UTC {
            return format!("{utc} UTC ({relative})");
        }
        format!("{} {} ({utc} UTC, {relative})", wall(self.zone, at), self.zone.name())
    }

    /// The heads of the columns that [`Self::time_cells`] fills.
    pub(super) fn time_heads(&self, head: &str) -> Vec<String> {
        let local = (self.zone != Zone::UTC).then(|| self.zone.name().to_owned());
        [head.to_owned()].into_iter().chain(local).chain(["UTC".to_owned()]).collect()
    }

    /// A time of an answer in columns: from now, local, and in UTC.
    pub(super) fn time_cells(&self, time: &str) -> Vec<String> {
        let at = Timestamp::parse(time).ok();
        let shown = |shown: &dyn Fn(Timestamp) -> String| at.map(shown).unwrap_or_default();
        let local = (self.zone != Zone::UTC).then(|| shown(&|at| wall(self.zone, at)));
        [shown(&|at| self.apart(at))].into_iter().chain(local).chain([shown(&|at| wall(Zone::UTC, at))]).collect()
    }

    /// The present, local.
    pub(super) fn now(&self) -> String {
        wall(self.zone, self.now)
    }

    /// A time of an answer from now.
    pub(super) fn relative(&self, time: &str) -> String {
        Timestamp::parse(time).map(|at| self.apart(at)).unwrap_or_default()
    }

    /// A time from now, in the largest unit of which there are at least two.
    fn apart(&self, at: Timestamp) -> String {
        let millis = at.as_millis() - self.now.as_millis();
        let seconds = (millis.unsigned_abs() + 500) / 1000;
        let length = match seconds {
            0 => return "now".to_owned(),
            1..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", (seconds + 30) / 60),
            7200..172_800 => format!("{} h", (seconds + 1800) / 3600),
            _ => format!("{} days", (seconds + 43_200) / 86_400),
        };
        if millis > 0 { format!("in {length}") } else { format!("{length} ago") }
    }

    /// Aligned columns below their heads. The statuses among the cells are coloured.
    pub(super) fn table(&self, heads: &[String], rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
        let width = |column: usize| {
            let cells = [heads].into_iter().chain(rows.iter().map(Vec::as_slice)).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let line = |row: &[String], is_head: bool| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                let padding = " ".repeat(width - cell.chars().count());
                let colour = if is_head { Some(Colour::Bold) } else { colour(cell) };
                format!("{}{padding}", self.painted(cell, colour))
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let below = rows.iter().map(|row| line(row, false));
        [line(heads, true)].into_iter().chain(below).collect::<Vec<_>>().join("\n")
    }

    /// A status in its colour.
    pub(super) fn status(&self, status: &str) -> String {
        self.painted(status, colour(status))
    }

    fn painted(&self, text: &str, colour: Option<Colour>) -> String {
        let code = match colour.filter(|_| self.has_colour) {
            None => return text.to_owned(),
            Some(Colour::Bold) => 1,
            Some(Colour::Red) => 31,
            Some(Colour::Green) => 32,
            Some(Colour::Yellow) => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

fn colour(status: &str) -> Option<Colour> {
    match status {
        "Completed" | "success" => Some(Colour::Green),
        "Failed" | "failure" | "permanentFailure" => Some(Colour::Red),
        "InProgress" | "inFlight" => Some(Colour::Yellow),
        _ => None,
    }
}

/// The zone that a person has set, or that of the machine.
fn zone(set: Option<&str>) -> Zone {
    let named = set.and_then(|name| name.trim_start_matches(':').parse().ok());
    let of_machine = || iana_time_zone::get_timezone().ok()?.parse().ok();
    let zone = named.or_else(of_machine).unwrap_or(Zone::UTC);
    if matches!(zone.name(), "Etc/UTC" | "Etc/UCT" | "UCT" | "Etc/Zulu" | "Zulu") { Zone::UTC } else { zone }
}

fn wall(zone: Zone, at: Timestamp) -> String {
    zone.at(at).wall().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A labelled line. The lines of a longer text stand below each other.
pub(super) fn line(label: &str, text: &str) -> String {
    format!("{label:<10} {}", text.replace('\n', &format!("\n{:11}", "")))
}

/// A text of somebody else, without what controls the terminal.
pub(super) fn escaped(text: &str) -> String {
    let (escaped, is_longer) = escape_invisible(text, MAX_TEXT);
    if is_longer { format!("{escaped}… ({} bytes)", text.len()) } else { escaped }
}

fn one_line(text: &str) -> String {
    escaped(&text.replace(['\n', '\r'], " "))
}

/// A number with its noun.
pub(super) fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    if number == N::from(1) { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Page {
        /// A page without colours that is read at this time in this zone.
        pub(in crate::cli) fn sample(now: &str, zone: &str) -> Self {
            Self { now: Timestamp::parse(now).unwrap(), zone: zone.parse().unwrap(), has_colour: false }
        }
    }

    const NOW: &str = "2030-01-01T09:00:00.000Z";

    fn page(zone: &str) -> Page {
        Page::sample(NOW, zone)
    }

    #[test]
    fn a_time_is_local_in_utc_and_from_now() {
        let berlin = page("Europe/Berlin");
        assert_eq!(
            berlin.time("2030-01-01T09:04:10.000Z"),
            "2030-01-01 10:04:10 Europe/Berlin (2030-01-01 09:04:10 UTC, in 4 min)"
        );
        assert_eq!(page("UTC").time("2030-01-01T08:59:00.000Z"), "2030-01-01 08:59:00 UTC (60 s ago)");
        assert_eq!(berlin.time("later"), "later");
        assert_eq!(berlin.time_heads("DUE"), ["DUE", "Europe/Berlin", "UTC"]);
        assert_eq!(berlin.time_cells(NOW), ["now", "2030-01-01 10:00:00", "2030-01-01 09:00:00"]);
        assert_eq!(page("UTC").time_cells(""), ["", ""]);
    }

    #[test]
    fn a_time_from_now_has_the_largest_unit_of_which_there_are_two() {
        for (millis, expected) in [
            (400, "now"),
            (-400, "now"),
            (1000, "in 1 s"),
            (119_000, "in 119 s"),
            (120_000, "in 2 min"),
            (-7_199_000, "120 min ago"),
            (7_200_000, "in 2 h"),
            (-172_800_000, "2 days ago"),
            (31_536_000_000, "in 365 days"),
        ] {
            let at = Timestamp::from_millis(Timestamp::parse(NOW).unwrap().as_millis() + millis);
            assert_eq!(page("UTC").apart(at), expected);
        }
    }

    #[test]
    fn columns_are_aligned_and_nobody_else_controls_the_terminal() {
        let rows = [vec!["Completed".to_owned(), "é\x1b[2J".to_owned()], vec!["a".to_owned(), "b\nc".to_owned()]];
        let heads = ["STATUS".to_owned(), "TEXT".to_owned()];
        let plain = page("UTC").table(&heads, &rows);
        assert_eq!(plain, "STATUS     TEXT\nCompleted  é\\u{1b}[2J\na          b c");
        let coloured = Page { has_colour: true, ..page("UTC") }.table(&heads, &rows);
        let lines: Vec<_> = coloured.lines().collect();
        assert_eq!(lines[1], "\x1b[32mCompleted\x1b[0m  é\\u{1b}[2J");
    }

    #[test]
    fn the_zone_is_the_set_one() {
        assert_eq!(zone(Some("Europe/Berlin")).name(), "Europe/Berlin");
        assert_eq!(zone(Some(":Asia/Tokyo")).name(), "Asia/Tokyo");
        assert_eq!(zone(Some("Etc/UTC")), Zone::UTC);
    }
}
