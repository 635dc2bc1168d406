//! The canonical form of a JSON value: one text for all texts that mean the same.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The value without white space, with the members of its objects in the order of their names, and with its strings
/// escaped in one way. Numbers stay as they were written, because programs disagree about which of them are equal.
///
/// It recurses as deep as the value is nested, so the caller limits the depth.
///
/// # Errors
/// The text is not JSON, or has a string that is not Unicode.
pub fn canonical(json: &str) -> Result<String, serde_json::Error> {
    let json = json.trim_ascii();
    match json.bytes().next() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
            let members: Result<Vec<_>, serde_json::Error> = members
                .iter()
                .map(|(name, value)| Ok(format!("{}:{}", serde_json::to_string(name)?, canonical(value.get())?)))
                .collect();
            Ok(format!("{{{}}}", members?.join(",")))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            let items: Result<Vec<_>, _> = items.iter().map(|item| canonical(item.get())).collect();
            Ok(format!("[{}]", items?.join(",")))
        }
        Some(b'"') => serde_json::to_string(&serde_json::from_str::<String>(json)?),
        _ => Ok(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_mean_the_same_have_one_form() {
        let same = [
            r#"{"a":[1,{"b":null,"c":"é"}],"d":true}"#,
            " { \"d\" : true,\n \"a\" : [ 1 , {\"c\":\"\\u00e9\",\"b\":null} ] } ",
        ];
        for text in same {
            assert_eq!(canonical(text).unwrap(), same[0]);
        }
    }

    #[test]
    fn texts_that_mean_something_else_have_another_form() {
        let texts =
            ["1", "1.0", "\"1\"", "[1]", "[1,2]", "[2,1]", "{}", r#"{"1":1}"#, r#"{"1":"1"}"#, "null", "\"null\""];
        let forms: std::collections::BTreeSet<_> = texts.map(|text| canonical(text).unwrap()).into();
        assert_eq!(forms.len(), texts.len());
        assert_ne!(canonical("18446744073709551616").unwrap(), canonical("18446744073709551617").unwrap());
    }

    #[test]
    fn half_a_character_has_no_form() {
        assert!(canonical(r#"["\ud83d"]"#).is_err());
    }
}
