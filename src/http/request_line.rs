//! The line that the log has of each request.

use http::{HeaderMap, Method, Request, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;
use warp::reply::Response;

use crate::metrics::{self, RequestEnd};

/// Writes the line of a request when the request is over, also if its connection was closed before the response.
pub(super) struct RequestLine {
    span: Span,
    method: &'static str,
    began: Instant,
    status: Option<StatusCode>,
    route: Option<&'static str>,
}

/// The path of the operation that a request was for, with the names of its parameters: an extension of the response.
#[derive(Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

impl RequestLine {
    /// Begins the request. The invocation id is that of the Functions host; other callers could invent one.
    pub(super) fn begin<B>(request: &Request<B>, has_invocation_id: bool) -> Self {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let invocation = header("x-azure-functions-invocationid").filter(|id| has_invocation_id && id.len() <= 64);
        // The level is error, so that no log filter removes the span from the lines inside it.
        let span = tracing::error_span!(
            "request",
            operation = Empty,
            client.id = Empty,
            conversation.id = Empty,
            gen_ai.tool.name = Empty,
            error.type = Empty,
            faas.invocation_id = invocation,
            traceparent = traceparent(request.headers()),
        );
        Self { span, method: known(request.method()), began: Instant::now(), status: None, route: None }
    }

    /// The span of the request. Whoever handles it adds what it learns of the request.
    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// Ends the request with this response.
    pub(super) fn end(&mut self, response: &Response) {
        self.status = Some(response.status());
        self.route = response.extensions().get::<Route>().map(|Route(path)| *path);
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        let _inside = self.span.enter();
        let (method, duration) = (self.method, self.began.elapsed());
        let (route, status) = (self.route, self.status.map(|status| status.as_u16()));
        metrics::record(|metrics| metrics.request(RequestEnd { method, route, status, duration }));
        // Microseconds are exact enough, and the number stays short.
        let duration_ms = (duration.as_secs_f64() * 1e6).round() / 1e3;
        match status {
            Some(status) => tracing::info!(
                http.request.method = method,
                http.route = route,
                http.response.status_code = status,
                duration_ms,
                "request finished"
            ),
            None => {
                tracing::info!(http.request.method = method, duration_ms, "request aborted: its connection was closed");
            }
        }
    }
}

/// The caller's `traceparent`, if it has the form of W3C Trace Context, version 00.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all("traceparent").iter();
    let text = given.next()?.to_str().ok().filter(|_| given.next().is_none())?;
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &str| is_hex(part) && part.bytes().any(|b| b != b'0');
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_valid = version == "00"
        && (trace.len(), parent.len(), flags.len()) == (32, 16, 2)
        && is_id(trace)
        && is_id(parent)
        && is_hex(flags)
        && parts.next().is_none();
    is_valid.then_some(text)
}

/// The name of a method. All that HTTP does not define have one name (OpenTelemetry), because a client can invent any.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_of_the_standards_form_is_kept() {
        let kept = |values: &[&str]| {
            let values = values.iter().map(|value| ("traceparent".parse().unwrap(), value.parse().unwrap()));
            traceparent(&values.collect()).map(str::to_owned)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(kept(&[good]).as_deref(), Some(good));
        assert_eq!(kept(&[good, good]), None);
        for bad in [
            "",
            "canary",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-011",
        ] {
            assert_eq!(kept(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_method_that_a_client_invents_has_the_name_of_all_others() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"] {
            assert_eq!(known(&method.parse().unwrap()), method);
        }
        assert_eq!(known(&"CANARY".parse().unwrap()), "_OTHER");
    }
}
