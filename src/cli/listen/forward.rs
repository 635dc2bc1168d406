//! Passing a request on to the developer's own server.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Response, header};
use http_body_util::Full;
use reqwest::redirect;
use url::Url;

use crate::cli::service::causes;

/// Headers about one connection, which the next one sets itself (RFC 9110 §7.6.1).
const OF_A_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The server to which requests are passed on.
pub(super) struct Forward {
    http: reqwest::Client,
    url: Url,
}

impl Forward {
    #[allow(clippy::disallowed_methods)] // the command acts as a client, which is not part of the service
    pub(super) fn to(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = parsed.ok_or_else(|| {
            format!("--forward must be the address of your endpoint, such as http://127.0.0.1:3000/hook, not {url}")
        })?;
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build();
        Ok(Self { http: http.map_err(|error| causes(&error))?, url })
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Sends the request with its method, headers and body, and returns the answer of the server.
    pub(super) async fn pass_on(&self, head: &Parts, body: Bytes) -> Result<Response<Full<Bytes>>, String> {
        let failed = |error: reqwest::Error| causes(&error.without_url());
        let request = self.http.request(head.method.clone(), self.url.clone());
        let answer = request.headers(passed_on(&head.headers)).body(body).send().await.map_err(failed)?;
        let (status, headers) = (answer.status(), passed_on(answer.headers()));
        let mut response = Response::new(Full::new(answer.bytes().await.map_err(failed)?));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    headers
}
