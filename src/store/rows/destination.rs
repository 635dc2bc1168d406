//! The part of a main row that says where the conversation goes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::{Destination, Endpoint, Method, Target};
use crate::json::{pairs, text};

/// Where a conversation goes that is not sent to an endpoint.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum PlaceRow {
    Inbox,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TargetRow<'a> {
    /// The part of the endpoint that is no secret, for the operator. The encrypted part has the whole endpoint.
    #[serde(default)]
    pub(super) origin: Cow<'a, str>,
    #[serde(default, skip_serializing)]
    endpoint: Option<Cow<'a, str>>,
    #[serde(with = "text")]
    method: Method,
    #[serde(default, skip_serializing, with = "pairs")]
    headers: pairs::Pairs<'a>,
}

impl<'a> From<&'a Target> for TargetRow<'a> {
    fn from(Target { endpoint, method }: &'a Target) -> Self {
        Self { origin: endpoint.origin().into(), endpoint: None, method: *method, headers: Vec::new() }
    }
}

/// The method, the endpoint and the headers of a row: none for an inbox. `None` if the row names no place or two.
pub(super) fn place(
    target: Option<TargetRow<'_>>,
    deliver: Option<PlaceRow>,
) -> Option<(Option<Method>, Option<Cow<'_, str>>, pairs::Pairs<'_>)> {
    match (target, deliver) {
        (Some(target), None) => Some((Some(target.method), target.endpoint, target.headers)),
        (None, Some(PlaceRow::Inbox)) => Some((None, None, Vec::new())),
        (Some(_), Some(PlaceRow::Inbox)) | (None, None) => None,
    }
}

/// The destination: an endpoint with its method, or the inbox without both.
pub(super) fn destination(method: Option<Method>, endpoint: Option<Endpoint>) -> Option<Destination> {
    match (method, endpoint) {
        (Some(method), Some(endpoint)) => Some(Destination::Endpoint(Target { endpoint, method })),
        (None, None) => Some(Destination::Inbox),
        (Some(_), None) | (None, Some(_)) => None,
    }
}
