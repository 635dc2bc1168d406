//! The tag of a conversation's state, and changes that are made only to the state that the caller has seen.

use http::header::{ETAG, IF_MATCH};
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
}
