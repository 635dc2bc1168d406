//! JSON Merge Patch (RFC 7396) on texts: every value that stays is kept as it was written.

use std::borrow::Cow;

use super::members::{self, Member};

/// Applies a patch to an object. In the patch, `null` removes a member and an object is merged into one of the same name.
/// Names that the patch repeats stay repeated, so that whoever reads the result can refuse them.
///
/// # Errors
/// [`serde_json::Error`] if one of the two is not a JSON object.
pub fn merge(target: &str, patch: &str) -> Result<String, serde_json::Error> {
    let (old, read) = members::read(target.as_bytes());
    read?;
    let (new, read) = members::read(patch.as_bytes());
    read?;
    let stays = |member: &&Member<'_>| !new.iter().any(|change| change.name == member.name);
    let mut merged: Vec<_> =
        old.iter().filter(stays).map(|member| (&*member.name, Cow::Borrowed(member.text()))).collect();
    for change in &new {
        let value = match change.text() {
            "null" => continue,
            value if is_object(value) => {
                let before = old.iter().find(|member| member.name == change.name).map(Member::text);
                Cow::Owned(merge(before.filter(|it| is_object(it)).unwrap_or("{}"), value)?)
            }
            value => Cow::Borrowed(value),
        };
        merged.push((&change.name, value));
    }
    Ok(members::write(merged))
}

fn is_object(json: &str) -> bool {
    json.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn the_examples_of_the_standard() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merge(target, patch).unwrap(), result, "{target} {patch}");
        }
    }

    #[test]
    fn values_are_kept_as_they_were_written_and_repeated_names_stay() {
        let merged = merge(r#"{"n": 1.50, "a": {"x": 1e3, "y":  2}}"#, r#"{"a": {"y":3}, "b":1, "b":2}"#).unwrap();
        assert_eq!(merged, r#"{"n":1.50,"a":{"x":1e3,"y":3},"b":1,"b":2}"#);
        for wrong in ["", "[]", "1", "{"] {
            assert!(merge("{}", wrong).is_err(), "{wrong}");
        }
    }
}
