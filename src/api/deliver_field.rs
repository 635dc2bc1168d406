//! The fields of a schedule request that say where the text goes.

use super::ScheduleRequest;
use super::field_errors::FieldErrors;
use super::schedule_request::word;
use crate::domain::{Destination, EndpointPolicy, Method, Target};

/// The value of `deliver` for the inbox.
pub(super) const INBOX: &str = "inbox";

/// Checks where the text goes, and the method of the request. In an inbox there is no request, so the fields of one are
/// refused and not ignored.
pub(super) fn check(
    request: &ScheduleRequest,
    endpoints: &EndpointPolicy,
    errors: &mut FieldErrors,
) -> (Option<Destination>, Option<Method>) {
    match request.deliver.as_deref() {
        None => {
            let endpoint = errors.check("/endpoint", endpoints.check(request.endpoint.as_deref().unwrap_or_default()));
            let method = errors.check("/method", word(request.method.as_deref()));
            let target = endpoint.zip(method).map(|(endpoint, method)| Target { endpoint, method });
            (target.map(Destination::Endpoint), method)
        }
        Some(deliver) if deliver.eq_ignore_ascii_case(INBOX) => {
            refuse_request(request, errors);
            (Some(Destination::Inbox), Some(Method::default()))
        }
        Some(_) => {
            errors.add("/deliver", "must be inbox; for an endpoint, leave it out and give the endpoint");
            (None, errors.check("/method", word(request.method.as_deref())))
        }
    }
}

fn refuse_request(request: &ScheduleRequest, errors: &mut FieldErrors) {
    let given = [
        ("/endpoint", request.endpoint.is_some()),
        ("/method", request.method.is_some()),
        ("/headers", request.headers.as_ref().is_some_and(|headers| !headers.is_empty())),
        ("/format", request.format.is_some()),
        ("/body", request.body.is_some()),
        ("/successWhen", request.success_when.is_some()),
        ("/timeoutSeconds", request.timeout_seconds.is_some()),
    ];
    for (pointer, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        errors.add(pointer, "is for a request to an endpoint; leave it out, because deliver is inbox");
    }
}
