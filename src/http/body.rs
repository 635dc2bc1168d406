//! Request bodies: bounded in size and time, and strict about what they say.

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
/// How long a body may take to arrive.
const MAX_TIME: Duration = Duration::from_secs(30);

impl RequestContext {
    /// Reads the body as JSON of a known shape. Unknown and duplicate fields are errors: a caller
    /// that writes `endpiont` means something that would otherwise be lost.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        check_type(&self.headers)?;
        let body = read(&self.headers, &mut self.body).await?;
        if body.len() > MAX_BYTES {
            return Err(too_large::<T>(&body));
        }
        strict_json::read(&body)
    }

    /// Reads a body that says it is JSON, for somebody else to make sense of.
    pub(super) async fn json_bytes(&mut self) -> Result<Bytes, Problem> {
        check_type(&self.headers)?;
        self.bytes().await
    }

    /// Reads the body if it is a form; none if it says that it is something else.
    pub(super) async fn form(&mut self) -> Result<Option<Bytes>, Problem> {
        if is_encoded(&self.headers) || !is_utf8(&self.headers, "application/x-www-form-urlencoded") {
            return Ok(None);
        }
        self.bytes().await.map(Some)
    }

    /// Reads the body, whatever it says it is.
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

/// Whether the body says that it is of this type, and in no other charset.
fn is_utf8(headers: &HeaderMap, wanted: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    // Two types are no type: a proxy before us may have believed the other one.
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

/// Reads the body, or the beginning of one that is too large.
async fn read(headers: &HeaderMap, body: &mut BodyStream) -> Result<Bytes, Problem> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    // A caller that asks before it sends is spared the sending.
    if headers.contains_key(EXPECT) && declared.is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(Problem::body_too_large(MAX_BYTES));
    }
    let whole = async {
        // Most bodies arrive in one piece and need not be copied.
        let Some(first) = body.next().await else { return Ok(Bytes::new()) };
        let first = first.map_err(|_| Problem::body_broken_off())?;
        let mut rest = BytesMut::new();
        while let Some(part) = body.next().await {
            let part = part.map_err(|_| Problem::body_broken_off())?;
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
    tokio::time::timeout(MAX_TIME, whole).await.unwrap_or_else(|_| Err(Problem::body_too_slow(MAX_TIME.as_secs())))
}

/// The problem with a body of which only the beginning was read. What is wrong there stays wrong
/// whatever follows, and is more use to the caller than the size.
fn too_large<T: DeserializeOwned>(beginning: &[u8]) -> Problem {
    match serde_json::from_slice::<StrictObject<T>>(beginning) {
        Err(error) if !error.is_eof() => strict_json::explain::<T>(beginning).closing(),
        _ => Problem::body_too_large(MAX_BYTES),
    }
}
