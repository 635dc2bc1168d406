//! Request bodies, with limits on their size, their time and their type.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use serde::de::DeserializeOwned;

use super::context::{BodyStream, RequestContext};
use crate::api::{Problem, strict_json};
use crate::json::StrictObject;

/// The largest body, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The longest time that a body may take to arrive.
const MAX_TIME: Duration = Duration::from_secs(30);

impl RequestContext {
    /// Reads the body as a JSON object. Unknown and duplicate fields are errors.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        check_type(&self.headers)?;
        let body = read(&self.headers, &mut self.body).await?;
        if body.len() > MAX_BYTES {
            return Err(too_large::<T>(&body));
        }
        strict_json::read(&body)
    }

    /// Reads a body whose content type is JSON, without parsing it.
    pub(super) async fn json_bytes(&mut self) -> Result<Bytes, Problem> {
        check_type(&self.headers)?;
        self.bytes().await
    }

    /// Reads the body if its content type is that of a form; `None` if it is another one.
    pub(super) async fn form(&mut self) -> Result<Option<Bytes>, Problem> {
        if is_encoded(&self.headers) || !is_utf8(&self.headers, "application/x-www-form-urlencoded") {
            return Ok(None);
        }
        self.bytes().await.map(Some)
    }

    /// Reads the body without regard to its content type.
    pub(super) async fn bytes(&mut self) -> Result<Bytes, Problem> {
        let body = read(&self.headers, &mut self.body).await?;
        if body.len() > MAX_BYTES { Err(Problem::body_too_large(MAX_BYTES)) } else { Ok(body) }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    if is_encoded(headers) {
        return Err(Problem::unsupported_media_type("Compressed bodies are not accepted."));
    }
    if is_utf8(headers, "application/json") {
        Ok(())
    } else {
        Err(Problem::unsupported_media_type("The body must be application/json in UTF-8."))
    }
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
async fn read(headers: &HeaderMap, body: &mut BodyStream) -> Result<Bytes, Problem> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    // A caller that sends `Expect: 100-continue` gets the problem before it sends the body.
    if headers.contains_key(EXPECT) && declared.is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(Problem::body_too_large(MAX_BYTES));
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
            if rest.len() > MAX_BYTES {
                break;
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    };
    tokio::time::timeout(MAX_TIME, whole).await.unwrap_or_else(|_| Err(Problem::request_timeout(MAX_TIME.as_secs())))
}

/// The problem with a body of which only the beginning was read. An error in the beginning helps the caller more than
/// the size does.
fn too_large<T: DeserializeOwned>(beginning: &[u8]) -> Problem {
    match serde_json::from_slice::<StrictObject<T>>(beginning) {
        Err(error) if !error.is_eof() => strict_json::explain::<T>(beginning).closing(),
        _ => Problem::body_too_large(MAX_BYTES),
    }
}
