//! Request bodies, with limits on their size, their time and their type.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};

use super::context::{BodyStream, RequestContext};
use crate::api::{FromObject, Parsed, Problem};

/// The largest body of most operations, in bytes.
pub(super) const MAX_BODY: usize = 256 * 1024;
/// The largest body that contains a conversation, in bytes: the longest text and the longest headers fit although a
/// client writes each byte of them as an escape of six bytes.
pub(super) const MAX_CONVERSATION: usize = 1280 * 1024;
/// The longest time that a body may take to arrive.
const MAX_TIME: Duration = Duration::from_secs(30);

impl RequestContext {
    /// Reads the body as a JSON object. Unknown and duplicate fields are errors.
    pub(super) async fn json<T: FromObject>(&mut self, max: usize) -> Result<Parsed<T>, Problem> {
        check_type(&self.headers)?;
        let body = read(&self.headers, &mut self.body, max).await?;
        if body.len() > max {
            let wrong = Parsed::<T>::problem_in_beginning(&body);
            return Err(wrong.map_or_else(|| Problem::body_too_large(max), Problem::closing));
        }
        Parsed::from_json(&body)
    }

    /// Reads a body whose content type is JSON, without parsing it.
    pub(super) async fn json_bytes(&mut self, max: usize) -> Result<Bytes, Problem> {
        check_type(&self.headers)?;
        self.bytes(max).await
    }

    /// Reads the body if its content type is that of a form; `None` if it is another one.
    pub(super) async fn form(&mut self) -> Result<Option<Bytes>, Problem> {
        if is_encoded(&self.headers) || !is_utf8(&self.headers, "application/x-www-form-urlencoded") {
            return Ok(None);
        }
        self.bytes(MAX_BODY).await.map(Some)
    }

    /// Reads the body without regard to its content type.
    pub(super) async fn bytes(&mut self, max: usize) -> Result<Bytes, Problem> {
        let body = read(&self.headers, &mut self.body, max).await?;
        if body.len() > max { Err(Problem::body_too_large(max)) } else { Ok(body) }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    if is_encoded(headers) {
        return Err(Problem::unsupported_media_type("Compressed bodies are not accepted."));
    }
    if is_utf8(headers, "application/json") {
        return Ok(());
    }
    Err(Problem::unsupported_media_type(match headers.get_all(CONTENT_TYPE).iter().count() {
        0 => "The request has no Content-Type header; the body must be application/json in UTF-8.",
        1 => "The Content-Type of the body must be application/json, in UTF-8.",
        _ => "The request has several Content-Type headers; it must have one, application/json.",
    }))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the body has this content type, in UTF-8 or without a charset.
fn is_utf8(headers: &HeaderMap, wanted: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    // Of two content types a proxy before us may have used the other one, so neither is accepted.
    let value = values.next().filter(|_| values.next().is_none()).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(wanted))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Reads the body, or only its beginning if it is too large.
async fn read(headers: &HeaderMap, body: &mut BodyStream, max: usize) -> Result<Bytes, Problem> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    // A caller that sends `Expect: 100-continue` gets the problem before it sends the body.
    if headers.contains_key(EXPECT) && declared.is_some_and(|length| length > max as u64) {
        return Err(Problem::body_too_large(max));
    }
    let whole = async {
        // Most bodies arrive in one piece, which need not be copied.
        let Some(first) = body.next().await else { return Ok(Bytes::new()) };
        let first = first.map_err(|_| Problem::incomplete_body())?;
        let mut rest = BytesMut::new();
        while let Some(part) = body.next().await {
            let part = part.map_err(|_| Problem::incomplete_body())?;
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&part);
            if rest.len() > max {
                break;
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    };
    tokio::time::timeout(MAX_TIME, whole).await.unwrap_or_else(|_| Err(Problem::request_timeout(MAX_TIME.as_secs())))
}
