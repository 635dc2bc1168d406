//! The request of `waitForConversation`.

use std::time::Duration;

use schemars::JsonSchema;

use super::inbox::MAX_WAIT_SECONDS;
use super::{FromObject, ObjectReader, Synonyms};

/// How long the caller waits for the end of a conversation.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WaitRequest {
    /// How long to wait if the conversation has not ended, in seconds. The default is 20. A service on Azure Functions does
    /// not wait.
    #[schemars(range(min = 0, max = MAX_WAIT_SECONDS))]
    wait_seconds: Option<u32>,
}

impl FromObject for WaitRequest {
    const SYNONYMS: Synonyms =
        &[("waitSeconds", &["wait", "waittime", "waittimeseconds", "timeout", "timeoutseconds", "seconds"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { wait_seconds: object.whole_number("waitSeconds", 0..=MAX_WAIT_SECONDS) }
    }
}

impl WaitRequest {
    /// Whether the caller says how long the wait is.
    pub(crate) const fn has_limit(&self) -> bool {
        self.wait_seconds.is_some()
    }

    /// The longest time to wait. The number was checked where it was read.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_secs(self.wait_seconds.unwrap_or(MAX_WAIT_SECONDS).into())
    }
}
