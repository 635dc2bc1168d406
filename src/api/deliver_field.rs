//! The fields of a schedule request that say where the text goes.

use super::ScheduleRequest;
use super::field_errors::FieldErrors;
use super::schedule_request::word;
use crate::domain::{Destination, EndpointPolicy, Method, Target};
use crate::json::RawJson;

/// The values of `deliver`.
pub(super) const PLACES: [&str; 2] = [INBOX, EVENTS];
const INBOX: &str = "inbox";
const EVENTS: &str = "events";

/// The value of `deliver` for a destination: none for an endpoint.
pub(super) const fn place(destination: &Destination) -> Option<&'static str> {
    match destination {
        Destination::Endpoint(_) => None,
        Destination::Inbox => Some(INBOX),
        Destination::Events => Some(EVENTS),
    }
}

/// Checks where the text goes, and the method of the request. Elsewhere than at an endpoint there is no request of the
/// caller, so the fields of one are refused and not ignored.
pub(super) fn check(
    request: &ScheduleRequest,
    endpoints: &EndpointPolicy,
    errors: &mut FieldErrors,
) -> (Option<Destination>, Option<Method>) {
    let Some(deliver) = request.deliver.as_deref() else {
        let endpoint = errors.check("/endpoint", endpoints.check(request.endpoint.as_deref().unwrap_or_default()));
        let method = errors.check("/method", word(request.method.as_deref()));
        let target = endpoint.zip(method).map(|(endpoint, method)| Target { endpoint, method });
        return (target.map(Destination::Endpoint), method);
    };
    let (destination, place) = if deliver.eq_ignore_ascii_case(INBOX) {
        (Destination::Inbox, INBOX)
    } else if deliver.eq_ignore_ascii_case(EVENTS) {
        (Destination::Events, EVENTS)
    } else {
        errors.add("/deliver", "must be inbox or events; for an endpoint, leave it out and give the endpoint");
        return (None, errors.check("/method", word(request.method.as_deref())));
    };
    refuse_request(request, place, errors);
    if destination == Destination::Inbox && request.timeout_seconds.is_some() {
        errors.add("/timeoutSeconds", refused(place));
    }
    (Some(destination), Some(Method::default()))
}

fn refuse_request(request: &ScheduleRequest, place: &str, errors: &mut FieldErrors) {
    let given = [
        ("/endpoint", request.endpoint.is_some()),
        ("/method", request.method.is_some()),
        ("/headers", request.headers.as_ref().is_some_and(|headers| !headers.is_empty())),
        ("/format", request.format.is_some()),
        ("/body", request.body.is_some()),
        ("/successWhen", request.success_when.is_some()),
    ];
    for (pointer, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        errors.add(pointer, refused(place));
    }
}

fn refused(place: &str) -> String {
    format!("is for a request to an endpoint; leave it out, because deliver is {place}")
}

/// The largest text and additional info of an event, as JSON. A message to a subscriber has at most 256 KiB, and the rest of
/// it less than 4 KiB.
const MAX_EVENT_DATA: usize = 252 * 1024;

/// Checks that an event can have this text. Escapes make it longer.
pub(super) fn check_size(
    destination: Option<&Destination>,
    (text, info): (Option<&str>, Option<&RawJson>),
    errors: &mut FieldErrors,
) {
    if destination != Some(&Destination::Events) {
        return;
    }
    let text = text.map_or(0, |text| serde_json::to_string(text).map_or(0, |text| text.len()));
    let bytes = text + info.map_or(0, |info| info.as_str().len());
    if bytes > MAX_EVENT_DATA {
        let problem = format!("has {bytes} bytes as JSON, with additionalInfo; an event has at most {MAX_EVENT_DATA}");
        errors.add("/conversationText", problem);
    }
}
