//! The files of pages for people, which are part of the program.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};
use warp::reply::Response;

use crate::http::RequestContext;
use crate::http::precondition::{is_known, with_tag};
use crate::http::server::Caching;

/// What a browser may do with a page: load the script and the style of this service, and call this service. Nothing is
/// inline, nothing comes from another host, and no text can become HTML or a script (`require-trusted-types-for`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A page, its script or its style. It is the same for everybody.
pub(in crate::http) struct StaticFile {
    content_type: &'static str,
    bytes: &'static [u8],
    tag: OnceLock<String>,
}

impl StaticFile {
    pub(super) const fn page(bytes: &'static [u8]) -> Self {
        Self::new("text/html; charset=utf-8", bytes)
    }

    pub(super) const fn script(bytes: &'static [u8]) -> Self {
        Self::new("text/javascript; charset=utf-8", bytes)
    }

    pub(super) const fn style(bytes: &'static [u8]) -> Self {
        Self::new("text/css; charset=utf-8", bytes)
    }

    const fn new(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { content_type, bytes, tag: OnceLock::new() }
    }

    /// The response to a request for the file. A browser that has it already gets no second copy.
    pub(in crate::http) fn serve(&self, context: &RequestContext) -> Response {
        // It changes with the bytes, so that a browser never shows the page of one release with the script of another.
        let tag = self.tag.get_or_init(|| URL_SAFE_NO_PAD.encode(digest(&SHA256, self.bytes)));
        let mut response = if is_known(context.headers(), tag) {
            let mut unchanged = Response::default();
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        } else {
            Response::new(self.bytes.into())
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response.extensions_mut().insert(Caching::Revalidated);
        with_tag(response, tag)
    }
}
