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
    Events,
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

impl<'a> TargetRow<'a> {
    /// The method, and the endpoint and the headers of a row without an encrypted part.
    pub(super) fn parts(self) -> (Option<Method>, Option<Cow<'a, str>>, pairs::Pairs<'a>) {
        (Some(self.method), self.endpoint, self.headers)
    }
}

impl PlaceRow {
    /// `None` for an endpoint, which has a target instead.
    pub(super) const fn of(destination: &Destination) -> Option<Self> {
        match destination {
            Destination::Endpoint(_) => None,
            Destination::Inbox => Some(Self::Inbox),
            Destination::Events => Some(Self::Events),
        }
    }
}

/// The destination of a row: an endpoint with its method, or a place without both. `None` if the row names neither or both.
pub(super) fn destination(
    method: Option<Method>,
    endpoint: Option<Endpoint>,
    place: Option<PlaceRow>,
) -> Option<Destination> {
    match (method, endpoint, place) {
        (Some(method), Some(endpoint), None) => Some(Destination::Endpoint(Target { endpoint, method })),
        (None, None, Some(PlaceRow::Inbox)) => Some(Destination::Inbox),
        (None, None, Some(PlaceRow::Events)) => Some(Destination::Events),
        _ => None,
    }
}
