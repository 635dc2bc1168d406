//! The members of a JSON object, each with its value as it was written.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: String,
    /// Its value; `None` if the text stops being JSON inside the value.
    pub value: Option<&'a RawValue>,
}

/// The most members that are kept. No object of a request has as many, and without a limit a small body of very many
/// members would take much memory.
const MAX_KEPT: usize = 1000;

/// Reads an object as its members, in their order and with repeated names. An error leaves the members before it.
pub fn read(json: &[u8]) -> (Vec<Member<'_>>, Result<(), serde_json::Error>) {
    let mut members = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let result = ObjectSeed(&mut members).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    (members, result)
}

impl<'a> Member<'a> {
    /// The value as it was written.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.value.map_or("null", RawValue::get)
    }
}

/// An object with these names and values. The values are JSON.
#[must_use]
pub fn write<N: AsRef<str>, V: AsRef<str>>(members: impl IntoIterator<Item = (N, V)>) -> String {
    let member = |(name, value): (N, V)| format!("{}:{}", serde_json::Value::from(name.as_ref()), value.as_ref());
    format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
}

struct ObjectSeed<'m, 'a>(&'m mut Vec<Member<'a>>);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key()? {
            if self.0.len() < MAX_KEPT {
                map.next_value_seed(MemberSeed { name, members: self.0 })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct MemberSeed<'m, 'a> {
    name: String,
    members: &'m mut Vec<Member<'a>>,
}

impl<'de> DeserializeSeed<'de> for MemberSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // The name is kept first, so that an error in the value can name its member.
        self.members.push(Member { name: self.name, value: None });
        let value = <&RawValue>::deserialize(deserializer)?;
        if let Some(member) = self.members.last_mut() {
            member.value = Some(value);
        }
        Ok(())
    }
}
