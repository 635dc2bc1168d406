//! The tag of a state, changes that are made only to the state that the caller has seen, and responses that a caller has
//! already.

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use warp::reply::Response;

/// Whether the header `If-Match` (RFC 9110 §13.1.1) allows to change the state with this tag. Without the header every
/// state may be changed.
pub(super) fn if_match(headers: &HeaderMap) -> impl Fn(&str) -> bool + use<> {
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    let is_absent = values.peek().is_none();
    let listed = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let listed: Vec<_> = listed.map(|tag| tag.trim().to_owned()).collect();
    // A weak tag has W/ in front of its quotation mark, and never matches.
    move |tag| is_absent || listed.iter().any(|listed| listed == "*" || *listed == quoted(tag))
}

/// Whether the header `If-None-Match` (RFC 9110 §13.1.2) lists this tag: the caller has the response with it. Here a weak
/// tag, which a proxy makes when it compresses, is as good as a strong one.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut listed = values.flat_map(|value| value.split(',')).map(str::trim);
    listed.any(|listed| listed == "*" || listed.trim_start_matches("W/") == quoted(tag))
}

/// A response with the tag of the state that it shows.
pub(super) fn with_tag(mut response: Response, tag: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(quoted(tag)) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

fn quoted(tag: &str) -> String {
    format!("\"{tag}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_changed_if_its_tag_is_listed() {
        let allows = |values: &[&'static str]| {
            let values = values.iter().map(|value| (IF_MATCH, HeaderValue::from_static(value)));
            if_match(&values.collect())("3f2a")
        };
        for values in [&[][..], &["*"], &["\"3f2a\""], &["\"1\", \"3f2a\""], &["\"1\"", "\"3f2a\""]] {
            assert!(allows(values), "{values:?}");
        }
        for values in [&["\"1\""][..], &["3f2a"], &["W/\"3f2a\""], &[""], &["\"3F2A\""]] {
            assert!(!allows(values), "{values:?}");
        }
    }

    #[test]
    fn a_response_is_known_if_its_tag_is_listed_also_as_a_weak_one() {
        let knows = |value: &'static str| {
            let header = (IF_NONE_MATCH, HeaderValue::from_static(value));
            is_known(&HeaderMap::from_iter([header]), "3f2a")
        };
        for value in ["*", "\"3f2a\"", "W/\"3f2a\"", "\"1\", W/\"3f2a\""] {
            assert!(knows(value), "{value}");
        }
        for value in ["", "3f2a", "\"3f2a", "\"1\"", "\"3F2A\""] {
            assert!(!knows(value), "{value}");
        }
        assert!(!is_known(&HeaderMap::new(), "3f2a"));
    }
}
