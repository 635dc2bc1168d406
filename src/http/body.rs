//! Request bodies: bounded in size and time, and strict about what they say.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::{BodyStream, Call, Problem};
use crate::domain::FieldError;

/// The largest body, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// How long a body may take to arrive.
const MAX_TIME: Duration = Duration::from_secs(30);

impl Call {
    /// Reads the body as JSON of a known shape. Unknown and duplicate fields are errors: a caller
    /// that writes `endpiont` means something that would otherwise be lost.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        check_type(&self.headers)?;
        let body = read(&self.headers, &mut self.body).await?;
        if body.len() > MAX_BYTES {
            return Err(too_large::<T>(&body));
        }
        // The second, slower parse only finds out where the first one failed.
        serde_json::from_slice(&body).map_err(|_| explain::<T>(&body))
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::unsupported_media_type("Compressed bodies are not accepted."));
    }
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if is_json && is_utf8 {
        Ok(())
    } else {
        Err(Problem::unsupported_media_type("The body must be application/json in UTF-8."))
    }
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
    match serde_json::from_slice::<T>(beginning) {
        Err(error) if !error.is_eof() => explain::<T>(beginning).closing(),
        _ => Problem::body_too_large(MAX_BYTES),
    }
}

/// Finds out where and why a body is not a `T`.
fn explain<T: DeserializeOwned>(body: &[u8]) -> Problem {
    let mut json = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return Problem::malformed_json(json.end().err().map_or_else(String::new, |e| e.to_string()));
    };
    let pointer = pointer(error.path());
    let error = error.into_inner();
    let (message, is_data) = (error.to_string(), error.is_data());
    if !is_data && pointer.is_empty() {
        return Problem::malformed_json(message);
    }
    // "invalid type: string "secret", expected u32 at line 1 column 2": the value is not repeated.
    let message = message.split(" at line ").next().unwrap_or_default();
    let detail = match message.split_once(", expected ") {
        Some((what, expected)) if what.starts_with("invalid ") => format!("must be {expected}"),
        _ => format!("has a problem: {message}"),
    };
    Problem::invalid(vec![FieldError { pointer, detail }])
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => pointer.push('?'),
        }
    }
    pointer
}
