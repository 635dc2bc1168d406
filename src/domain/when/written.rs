//! A `scheduledTime` as it is written: RFC 3339, with the brackets of RFC 9557 if there are any.

use chrono::{FixedOffset, NaiveDateTime};

use super::zone::instant;
use super::{DueTime, InvalidWhen, Note, Reading, Zone, ZoneRecord};
use crate::domain::timestamp::{WrittenOffset, WrittenTime};
use crate::domain::{InvalidTime, Timestamp};

/// A time, and the zone in brackets after it.
pub(super) struct ZonedText {
    time: WrittenTime,
    zone: Option<Zone>,
}

impl ZonedText {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidWhen> {
        let (time, brackets) = text.find('[').and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""));
        let time = WrittenTime::parse(time).map_err(InvalidWhen::Time)?;
        Ok(Self { time, zone: zone_in(brackets)? })
    }

    /// The instant, read in the zone in brackets, in this zone, or in UTC.
    pub(super) fn read(self, field: Option<Zone>) -> Result<DueTime, InvalidWhen> {
        if let (Some(brackets), Some(field)) = (self.zone, field)
            && brackets != field
        {
            return Err(InvalidWhen::TwoZones { in_brackets: brackets.name(), in_field: field.name() });
        }
        let too_early = InvalidWhen::Time(InvalidTime::BeforeEpoch);
        let WrittenTime { wall, offset } = self.time;
        let due = match (self.zone.or(field), offset) {
            (zone, WrittenOffset::Utc) => utc(wall).map(|at| DueTime::new(at, zone.map(|z| ZoneRecord::new(z, None)))),
            (None, WrittenOffset::Missing) => utc(wall).map(|at| DueTime::new(at, None).with(Note::ReadAsUtc)),
            (None, WrittenOffset::Given(offset)) => instant(wall, offset).map(|at| DueTime::new(at, None)),
            (Some(zone), WrittenOffset::Missing) => in_zone(wall, zone),
            (Some(zone), WrittenOffset::Given(offset)) => match instant(wall, offset) {
                Some(at) => Some(with_offset(wall, offset, at, zone)?),
                None => None,
            },
        };
        due.ok_or(too_early)
    }
}

fn utc(wall: NaiveDateTime) -> Option<Timestamp> {
    let millis = wall.and_utc().timestamp_millis();
    (millis >= 0).then(|| Timestamp::from_millis(millis))
}

/// A wall time without an offset. In a gap it shifts forward, and in a fold it is the first one.
fn in_zone(wall: NaiveDateTime, zone: Zone) -> Option<DueTime> {
    let due = |at| DueTime::new(at, Some(ZoneRecord::new(zone, Some(wall))));
    Some(match zone.read(wall)? {
        Reading::Once(at) => due(at),
        Reading::Gap(at) => due(at).with(Note::Gap { wall, read_as: zone.at(at) }),
        Reading::Fold { first, second } => {
            due(first).with(Note::Fold { wall, first: zone.at(first), second: zone.at(second) })
        }
    })
}

/// A wall time with an offset, which must be that of the zone.
fn with_offset(wall: NaiveDateTime, offset: FixedOffset, at: Timestamp, zone: Zone) -> Result<DueTime, InvalidWhen> {
    let local = zone.at(at);
    if local.offset() != offset {
        return Err(InvalidWhen::OffsetAndZone { offset, local });
    }
    Ok(DueTime::new(at, Some(ZoneRecord::new(zone, Some(wall)))))
}

/// The zone in the brackets after a time. Tags such as `[u-ca=gregory]` may follow it; a tag that is marked as critical
/// by `!` is refused (RFC 9557, section 3.3), because no tag is understood here.
fn zone_in(brackets: &str) -> Result<Option<Zone>, InvalidWhen> {
    let (mut rest, mut zone, mut is_first) = (brackets, None, true);
    while !rest.is_empty() {
        let (tag, after) = rest.strip_prefix('[').and_then(|tag| tag.split_once(']')).ok_or(InvalidWhen::Brackets)?;
        match (tag.split_once('='), tag.strip_prefix('!').unwrap_or(tag)) {
            (Some(_), _) if !tag.starts_with('!') => {}
            (None, name) if is_first => zone = Some(name.parse().map_err(InvalidWhen::ZoneInBrackets)?),
            _ => return Err(InvalidWhen::Brackets),
        }
        (rest, is_first) = (after, false);
    }
    Ok(zone)
}
