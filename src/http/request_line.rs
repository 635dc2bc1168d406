//! The line that the log has of each request.

use std::num::{NonZeroU64, NonZeroU128};

use http::{HeaderMap, Method, Request, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;
use warp::reply::Response;

use crate::domain::TraceContext;
use crate::metrics::{self, RequestEnd};
use crate::time::{Entropy, random};

/// Writes the line of a request when the request is over, also if its connection was closed before the response.
pub(super) struct RequestLine {
    span: Span,
    method: &'static str,
    began: Instant,
    status: Option<StatusCode>,
    route: Option<&'static str>,
    trace: Option<TraceContext>,
}

/// The path of the operation that a request was for, with the names of its parameters: an extension of the response.
#[derive(Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

impl RequestLine {
    /// Begins the request. The invocation id is that of the Functions host; other callers could invent one. With
    /// randomness for its id, the request has a span of its own.
    pub(super) fn begin<B>(request: &Request<B>, has_invocation_id: bool, span_ids: Option<&dyn Entropy>) -> Self {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let invocation = header("x-azure-functions-invocationid").filter(|id| has_invocation_id && id.len() <= 64);
        let caller = traceparent(request.headers());
        let own = span_ids.map(|entropy| new_span(caller, entropy));
        // The level is error, so that no log filter removes the span from the lines inside it.
        let span = tracing::error_span!(
            "request",
            operation = Empty,
            client.id = Empty,
            conversation.id = Empty,
            mcp.method.name = Empty,
            gen_ai.tool.name = Empty,
            error.type = Empty,
            faas.trigger = Empty,
            faas.invocation_id = invocation,
            messaging.system = Empty,
            messaging.operation.type = Empty,
            traceparent = caller.map(display),
            trace_id = own.map(|own| display(own.trace_id())),
            span_id = own.map(|own| display(own.span_id())),
        );
        let (method, trace) = (known(request.method()), own.or(caller));
        Self { span, method, began: Instant::now(), status: None, route: None, trace }
    }

    /// The span of the request. Whoever handles it adds what it learns of the request.
    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// The place of the request in a trace, if it is traced: its own span, or that of its caller.
    pub(super) const fn trace(&self) -> Option<TraceContext> {
        self.trace
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

/// The caller's place in a trace.
fn traceparent(headers: &HeaderMap) -> Option<TraceContext> {
    let mut given = headers.get_all("traceparent").iter();
    let text = given.next()?.to_str().ok().filter(|_| given.next().is_none())?;
    text.parse().ok()
}

/// A new span: of the caller's trace, or of a new one.
fn new_span(caller: Option<TraceContext>, entropy: &dyn Entropy) -> TraceContext {
    // Zero is no id. The generator returns it once in 2^64 times.
    let span = NonZeroU64::new(u64::from_be_bytes(random(entropy))).unwrap_or(NonZeroU64::MIN);
    let trace = || NonZeroU128::new(u128::from_be_bytes(random(entropy))).unwrap_or(NonZeroU128::MIN);
    caller.map_or_else(|| TraceContext::sampled(trace(), span), |caller| caller.with_span(span))
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
    use crate::time::SystemEntropy;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn a_request_with_two_callers_is_not_traced() {
        let traced = |values: &[&str]| {
            let values = values.iter().map(|value| ("traceparent".parse().unwrap(), value.parse().unwrap()));
            traceparent(&values.collect()).map(|trace| trace.to_string())
        };
        assert_eq!(traced(&[CALLER]).as_deref(), Some(CALLER));
        assert_eq!(traced(&[CALLER, CALLER]), None);
        assert_eq!(traced(&["canary"]), None);
    }

    #[test]
    fn a_span_belongs_to_the_trace_of_the_caller() {
        let entropy = SystemEntropy::new();
        let of_caller = new_span(Some(CALLER.parse().unwrap()), &entropy).to_string();
        assert!(
            of_caller.starts_with(&CALLER[..36]) && of_caller.ends_with("-00") && of_caller != CALLER,
            "{of_caller}"
        );
        let [first, second] = [(); 2].map(|()| new_span(None, &entropy).to_string());
        assert!(first[..35] != second[..35] && first.ends_with("-01"), "{first} {second}");
    }

    #[test]
    fn a_method_that_a_client_invents_has_the_name_of_all_others() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"] {
            assert_eq!(known(&method.parse().unwrap()), method);
        }
        assert_eq!(known(&"CANARY".parse().unwrap()), "_OTHER");
    }
}
