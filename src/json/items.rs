//! The items of a JSON array, each as it was written.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The items of an array.
#[derive(Debug)]
pub struct Items<'a> {
    /// The first items, up to the number that was asked for.
    pub first: Vec<&'a RawValue>,
    /// How many items the array has.
    pub count: usize,
}

/// Reads an array and keeps its first items, up to this number. Without a limit a small body of very many items would
/// take much memory.
///
/// # Errors
/// The text is not a JSON array.
pub fn read(json: &str, most: usize) -> Result<Items<'_>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let items = deserializer.deserialize_seq(ItemsVisitor { most })?;
    deserializer.end().map(|()| items)
}

struct ItemsVisitor {
    most: usize,
}

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut first = Vec::new();
        while first.len() < self.most {
            match seq.next_element()? {
                Some(item) => first.push(item),
                None => return Ok(Items { count: first.len(), first }),
            }
        }
        let mut count = first.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Items { first, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items_are_counted_and_the_first_are_kept_as_written() {
        for (json, kept, count) in
            [("[]", &[][..], 0), ("[1.0]", &["1.0"], 1), ("[ 1 ,{\"a\":2} , 3]", &["1", "{\"a\":2}"], 3)]
        {
            let items = read(json, 2).unwrap();
            let first: Vec<_> = items.first.iter().map(|item| item.get()).collect();
            assert_eq!((&*first, items.count), (kept, count), "{json}");
        }
        for bad in ["{}", "1", "[1", "[1] 2", "[1,]"] {
            assert!(read(bad, 2).is_err(), "{bad}");
        }
    }
}
