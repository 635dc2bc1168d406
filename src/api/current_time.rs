//! The operation that says what time it is.

use schemars::JsonSchema;
use serde::Serialize;

use super::time_fields::{self, MAX_TIME};
use super::{ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::domain::{InvalidWhen, Timestamp, Zone};

/// Where the time is asked for.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CurrentTimeRequest {
    /// The time zone, as a name of the IANA database such as Europe/Berlin or America/Chicago.
    #[schemars(length(min = 1, max = MAX_TIME))]
    time_zone: Option<String>,
}

/// What time it is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CurrentTimeResponse {
    /// The time of the server, in UTC.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) server_time: String,
    /// The same in the time zone of the request. It is left out if the request named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local_time: Option<String>,
}

impl FromObject for CurrentTimeRequest {
    const SYNONYMS: Synonyms = &[time_fields::TIME_ZONE];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { time_zone: object.string("timeZone") }
    }
}

impl CurrentTimeRequest {
    /// The time zone.
    ///
    /// # Errors
    /// An [`ErrorDetail`] if it is not one.
    pub(crate) fn validate(self) -> Result<Option<Zone>, Vec<ErrorDetail>> {
        let zone = self.time_zone.as_deref().map(str::parse).transpose();
        zone.map_err(|wrong| vec![time_fields::detail(&InvalidWhen::TimeZone(wrong))])
    }
}

impl CurrentTimeResponse {
    pub(crate) fn new(zone: Option<Zone>, now: Timestamp) -> Self {
        Self { server_time: now.to_string(), local_time: zone.map(|zone| zone.at(now).to_string()) }
    }
}
