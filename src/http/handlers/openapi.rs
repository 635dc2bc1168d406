//! `openapi` and `docs`: the description of the API, for programs and for people.

use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;
use warp::reply::Response;

use crate::api::openapi::{document, page, page_policy};
use crate::http::operation::Operation;
use crate::http::operations::operations;

/// The document that describes all operations, as `/openapi.json` shows it.
#[must_use]
pub fn openapi_document() -> Value {
    document(&operations().iter().filter_map(Operation::documented).collect::<Vec<_>>())
}

/// `openapi`. The document is made at the first request for it, so that it does not delay the start of the service.
pub(in crate::http) fn openapi() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    respond(DOCUMENT.get_or_init(|| openapi_document().to_string().into()), "application/json")
}

/// `docs`
pub(in crate::http) fn docs() -> Response {
    static PAGE: OnceLock<Bytes> = OnceLock::new();
    let mut response = respond(PAGE.get_or_init(|| page(&openapi_document()).into()), "text/html; charset=utf-8");
    if let Ok(policy) = HeaderValue::try_from(page_policy()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn respond(body: &Bytes, content_type: &'static str) -> Response {
    let mut response = Response::new(body.clone().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
