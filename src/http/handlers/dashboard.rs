//! The dashboard: a page, its script and its style. `dashboard/` has the sources, and builds what is included here.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};
use warp::reply::Response;

use crate::http::RequestContext;
use crate::http::precondition::{is_known, with_tag};
use crate::http::server::Caching;

/// What a browser may do with the page: load the script and the style of this service, and call this service. Nothing is
/// inline, nothing comes from another host, and no text can become HTML or a script (`require-trusted-types-for`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the dashboard.
pub(in crate::http) struct File {
    pub(super) content_type: &'static str,
    pub(super) bytes: &'static [u8],
    /// It changes with the bytes, so that a browser never shows the page of one release with the script of another.
    pub(super) tag: LazyLock<String>,
}

pub(in crate::http) static PAGE: File = File {
    content_type: "text/html; charset=utf-8",
    bytes: include_bytes!("../../../dashboard/dist/index.html"),
    tag: LazyLock::new(|| tag_of(PAGE.bytes)),
};

pub(in crate::http) static SCRIPT: File = File {
    content_type: "text/javascript; charset=utf-8",
    bytes: include_bytes!("../../../dashboard/dist/app.js"),
    tag: LazyLock::new(|| tag_of(SCRIPT.bytes)),
};

pub(in crate::http) static STYLE: File = File {
    content_type: "text/css; charset=utf-8",
    bytes: include_bytes!("../../../dashboard/dist/app.css"),
    tag: LazyLock::new(|| tag_of(STYLE.bytes)),
};

pub(super) fn tag_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// `dashboard`, `dashboardScript` and `dashboardStyle`
pub(in crate::http) fn dashboard(context: &RequestContext, file: &File) -> Response {
    let mut response = if is_known(context.headers(), &file.tag) {
        let mut unchanged = Response::default();
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        Response::new(file.bytes.into())
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response.extensions_mut().insert(Caching::Revalidated);
    with_tag(response, &file.tag)
}
