//! The response of the operation that previews a time.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{DueTime, Note, Timestamp};

/// The instants that the time of a request means.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewResponse {
    /// The instants in UTC.
    pub(crate) instants: Vec<String>,
    /// The same in the time zone of the request. Empty if it named none.
    pub(crate) local_times: Vec<String>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) server_time: String,
    /// How the time was read, if the caller could have meant another one.
    pub(crate) notes: Vec<String>,
}

impl PreviewResponse {
    pub(crate) fn new(due: &[DueTime], now: Timestamp) -> Self {
        let local = |due: &DueTime| due.zone()?.local(due.instant());
        Self {
            instants: due.iter().map(|due| due.instant().to_string()).collect(),
            local_times: due.iter().filter_map(local).map(|local| local.to_string()).collect(),
            server_time: now.to_string(),
            notes: due.iter().flat_map(DueTime::notes).map(Note::to_string).collect(),
        }
    }
}
