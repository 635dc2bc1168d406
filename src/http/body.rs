//! Request bodies, with limits on their size, their time and their type.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use tokio_util::sync::CancellationToken;

use super::budget::Share;
use super::context::{BodyStream, RequestContext};
use crate::api::{FromObject, Parsed, Problem};

/// The longest time that a body may take to arrive.
const MAX_TIME: Duration = Duration::from_secs(30);

impl RequestContext {
    /// Reads the body as a JSON object. Unknown and duplicate fields are errors.
    pub(super) async fn json<T: FromObject>(&mut self) -> Result<Parsed<T>, Problem> {
        check_type(&self.headers)?;
        let body = self.read().await?;
        let body = without_mark(&body);
        if body.len() > self.body_limit {
            // An error in the beginning helps the caller more than the size does.
            let wrong = Parsed::<T>::problem_in_beginning(body);
            return Err(wrong.map_or_else(|| Problem::body_too_large(self.body_limit), Problem::closing));
        }
        Parsed::from_json(body)
    }

    /// Reads a body whose content type is JSON, without parsing it.
    pub(super) async fn json_bytes(&mut self) -> Result<Bytes, Problem> {
        check_type(&self.headers)?;
        let body = self.bytes().await?;
        Ok(body.slice_ref(without_mark(&body)))
    }

    /// Reads a body whose content type is JSON or JSON Merge Patch (RFC 7396), without parsing it.
    pub(super) async fn merge_patch(&mut self) -> Result<Bytes, Problem> {
        if is_encoded(&self.headers) || !is_utf8(&self.headers, "application/merge-patch+json") {
            return self.json_bytes().await;
        }
        let body = self.bytes().await?;
        Ok(body.slice_ref(without_mark(&body)))
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
        let body = self.read().await?;
        if body.len() > self.body_limit { Err(Problem::body_too_large(self.body_limit)) } else { Ok(body) }
    }

    /// Reads the body, or only its beginning if it is too large.
    async fn read(&mut self) -> Result<Bytes, Problem> {
        let limit = self.body_limit;
        let declared = self.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        // A caller that sends `Expect: 100-continue` gets the problem before it sends the body.
        if self.headers.contains_key(EXPECT) && declared.is_some_and(|length| length > limit as u64) {
            return Err(Problem::body_too_large(limit));
        }
        let gives_way = CancellationToken::new();
        let (body, memory) = self.body_and_memory(gives_way.clone());
        let whole = tokio::time::timeout(MAX_TIME, collect(body, limit, memory));
        tokio::select! {
            read = whole => read.unwrap_or_else(|_| Err(Problem::request_timeout(MAX_TIME.as_secs()))),
            () = gives_way.cancelled() => Err(Problem::too_many_slow_bodies()),
        }
    }
}

/// Collects the parts of a body until it ends or is over the limit, and takes a share of the memory for them.
async fn collect(
    body: &mut BodyStream,
    limit: usize,
    take: impl FnOnce(usize) -> Option<Share>,
) -> Result<Bytes, Problem> {
    // Most bodies arrive in one piece, which need not be copied.
    let Some(first) = body.next().await else { return Ok(Bytes::new()) };
    let mut first = first.map_err(|_| Problem::incomplete_body())?;
    let share = take(first.len());
    let mut rest = BytesMut::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| Problem::incomplete_body())?;
        if let Some(share) = &share {
            share.grow(part.len());
        }
        if rest.is_empty() {
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&part);
        if rest.len() > limit {
            break;
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// The text without the byte order mark that some programs write before it (RFC 8259 §8.1).
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
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
                let charset = charset.trim().trim_matches('"');
                ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name))
            }
            _ => true,
        })
}
