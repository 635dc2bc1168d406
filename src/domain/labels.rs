//! The labels of a conversation.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The caller's labels: short texts by key, by which the caller finds its conversations again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The largest number of labels.
    pub const MAX_COUNT: usize = 8;
    /// The longest key, in characters.
    pub const MAX_KEY: usize = 32;
    /// The longest value, in characters.
    pub const MAX_VALUE: usize = 64;

    /// Checks a caller's labels.
    ///
    /// # Errors
    /// The rest of a sentence for each broken rule. It begins with the name of the field.
    pub fn parse(labels: Vec<(String, String)>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if labels.len() > Self::MAX_COUNT {
            problems.push(format!("has {} labels; at most {} are accepted", labels.len(), Self::MAX_COUNT));
        }
        let mut checked = BTreeMap::new();
        for (key, value) in labels.into_iter().take(Self::MAX_COUNT) {
            if let Err(problem) = check_key(&key).and_then(|()| check_value(&key, &value)) {
                problems.push(problem);
            } else if let Some((key, _)) = checked.remove_entry(&key) {
                problems.push(format!("has the key {key} twice"));
            } else {
                checked.insert(key, value);
            }
        }
        if problems.is_empty() { Ok(Self(checked)) } else { Err(problems) }
    }

    /// Restores labels from a stored row. They passed the rules of the release that accepted them.
    #[must_use]
    pub fn from_stored(labels: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(labels.into_iter().collect())
    }

    /// The keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether this label is among them.
    #[must_use]
    pub fn has(&self, label: &Label) -> bool {
        self.0.get(&label.key) == Some(&label.value)
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One label, as a list is filtered by it. Its text is `key:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    key: String,
    value: String,
}

/// The text is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    /// It has no colon.
    #[error("must be key:value, such as team:ops")]
    Format,
    /// The key or the value breaks a rule, which the text tells.
    #[error("{0}")]
    Part(String),
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let (key, value) = text.split_once(':').ok_or(InvalidLabel::Format)?;
        check_key(key).and_then(|()| check_value(key, value)).map_err(InvalidLabel::Part)?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, self.value)
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if (1..=Labels::MAX_KEY).contains(&key.len()) && key.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!("has the key {key:?}; a key is 1 to {} characters of a-z, 0-9, '.', '_' and '-'", Labels::MAX_KEY))
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    let length = value.chars().count();
    if length > Labels::MAX_VALUE {
        return Err(format!(
            "has a value of {length} characters for {key}; at most {} are accepted",
            Labels::MAX_VALUE
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("has a control character in the value for {key}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(labels: &[(&str, &str)]) -> Result<Labels, Vec<String>> {
        Labels::parse(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn labels_within_the_limits_are_accepted_and_sorted() {
        let (key, value) = ("k".repeat(32), "日".repeat(64));
        let labels = parse(&[(&key, &value), ("a.b_c-9", ""), ("a", "x:y z")]).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "x:y z"), ("a.b_c-9", ""), (&*key, &*value)]);
        let keys: Vec<_> = (0..8).map(|n| n.to_string()).collect();
        let eight: Vec<_> = keys.iter().map(|key| (&**key, "x")).collect();
        assert!(parse(&eight).is_ok());
        assert_eq!(parse(&[]), Ok(Labels::default()));
    }

    #[test]
    fn a_label_is_read_up_to_its_first_colon() {
        let labels = parse(&[("team", "ops:1"), ("empty", "")]).unwrap();
        for (text, has) in [("team:ops:1", true), ("team:ops", false), ("empty:", true), ("other:", false)] {
            let label: Label = text.parse().unwrap();
            assert_eq!((labels.has(&label), label.to_string()), (has, text.to_owned()));
        }
        assert_eq!("team".parse::<Label>(), Err(InvalidLabel::Format));
        for wrong in ["Team:ops", ":ops", "team:a\nb"] {
            assert!(matches!(wrong.parse::<Label>(), Err(InvalidLabel::Part(_))), "{wrong}");
        }
    }

    #[test]
    fn every_broken_rule_is_named() {
        let (long, value) = ("k".repeat(33), "x".repeat(65));
        for bad in ["", "A", "a b", "a:b", "ä", "a/b", "a~b", &long] {
            let problems = parse(&[(bad, "x")]).unwrap_err();
            assert!(problems.concat().contains("a key is 1 to 32 characters of a-z"), "{bad}: {problems:?}");
        }
        let problems = parse(&[("a", &value), ("b", "x\ny"), ("c", "1"), ("c", "2")]).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(problems.concat().contains("a value of 65 characters for a; at most 64"), "{problems:?}");
        assert!(problems.concat().contains("control character in the value for b"), "{problems:?}");
        assert!(problems.concat().contains("the key c twice"), "{problems:?}");
        let keys: Vec<_> = (0..9).map(|n| n.to_string()).collect();
        let nine: Vec<_> = keys.iter().map(|key| (&**key, "x")).collect();
        assert_eq!(parse(&nine).unwrap_err(), ["has 9 labels; at most 8 are accepted"]);
    }
}
