//! The watermark row: how far the sweeps have come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DueKey, decode, encode, partitions};
use crate::domain::Timestamp;
use crate::json::text;
use crate::store::{Partition, Row, Slot, StoreError};

/// The key of the watermark row. No other row has it, because all others have parts.
pub(in crate::store) const WATERMARK: &str = "w";

/// How far the sweeps have come, and the time of the dead man's switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The first second of each partition for which no sweep has enqueued wake-ups.
    pub marks: BTreeMap<Partition, Slot>,
    /// The second of the switch that is on its way.
    pub switch: Slot,
    /// The oldest overdue row of each partition that had one.
    pub oldest: BTreeMap<Partition, DueKey>,
}

impl Watermark {
    /// The watermark before the first sweep.
    #[must_use]
    pub fn start() -> Self {
        let marks = partitions().map(|partition| (partition, Slot::of(Timestamp::MIN))).collect();
        Self { marks, switch: Slot::of(Timestamp::MIN), oldest: BTreeMap::new() }
    }

    /// The mark of the partition that is furthest behind.
    #[must_use]
    pub fn lowest(&self) -> Slot {
        self.marks.values().min().copied().unwrap_or(Slot::of(Timestamp::MIN))
    }
}

/// The value of the row. The marks of all partitions are in their order.
#[derive(Serialize, Deserialize)]
struct WatermarkValue {
    marks: Vec<SlotText>,
    #[serde(with = "text")]
    switch: Slot,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    oldest: BTreeMap<String, DueKeyText>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct SlotText(#[serde(with = "text")] Slot);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct DueKeyText(#[serde(with = "text")] DueKey);

pub(in crate::store) fn encode_watermark(watermark: &Watermark) -> Result<String, StoreError> {
    let Watermark { marks, switch, oldest } = watermark;
    encode(&WatermarkValue {
        marks: marks.values().map(|mark| SlotText(*mark)).collect(),
        switch: *switch,
        oldest: oldest.iter().map(|(at, key)| (at.as_str().to_owned(), DueKeyText(key.clone()))).collect(),
    })
}

pub(in crate::store) fn decode_watermark(row: &Row) -> Result<Watermark, StoreError> {
    let WatermarkValue { marks, switch, mut oldest } = decode(row)?;
    if marks.len() != partitions().count() {
        return Err(StoreError::Corrupt {
            key: row.key.clone(),
            reason: "it has not one mark for each partition".into(),
        });
    }
    Ok(Watermark {
        marks: partitions().zip(marks).map(|(partition, SlotText(mark))| (partition, mark)).collect(),
        switch,
        oldest: partitions().filter_map(|at| oldest.remove(at.as_str()).map(|DueKeyText(key)| (at, key))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Etag;

    #[test]
    fn a_watermark_is_read_back() {
        let mut watermark = Watermark::start();
        let row = |watermark: &Watermark| Row {
            key: WATERMARK.to_owned(),
            value: encode_watermark(watermark).unwrap(),
            etag: Etag::new("1".to_owned()),
        };
        assert_eq!(decode_watermark(&row(&watermark)).unwrap(), watermark);
        let fifth = partitions().nth(5).unwrap();
        watermark.marks.insert(fifth, "2030-01-31T08:30:07Z".parse().unwrap());
        watermark.switch = "2030-01-31T08:45:00Z".parse().unwrap();
        let oldest = "d~01895999999000~client-a~01890000-0000-7000-8000-00000000000f".parse().unwrap();
        watermark.oldest.insert(fifth, oldest);
        let read = decode_watermark(&row(&watermark)).unwrap();
        assert_eq!(read, watermark);
        assert_eq!(read.lowest(), Slot::of(Timestamp::MIN));
    }

    #[test]
    fn a_watermark_without_a_mark_for_each_partition_is_not_read() {
        let value = encode_watermark(&Watermark::start()).unwrap().replacen("\"1970-01-01T00:00:00Z\",", "", 1);
        let row = Row { key: WATERMARK.to_owned(), value, etag: Etag::new("1".to_owned()) };
        assert!(matches!(decode_watermark(&row), Err(StoreError::Corrupt { .. })));
    }
}
