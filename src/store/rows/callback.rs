//! The callbacks of a conversation in a row.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::payload::{headers_row, restore_headers};
use crate::domain::{Callback, Callbacks, Endpoint};
use crate::json::pairs;

/// The fields of a row that hold the callbacks.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallbackRows<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_failed: Option<CallbackRow<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_completed: Option<CallbackRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct CallbackRow<'a> {
    endpoint: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    headers: pairs::Pairs<'a>,
}

impl CallbackRows<'_> {
    pub(super) const fn is_empty(&self) -> bool {
        self.on_failed.is_none() && self.on_completed.is_none()
    }
}

impl<'a> From<&'a Callbacks> for CallbackRows<'a> {
    fn from(Callbacks { on_failed, on_completed }: &'a Callbacks) -> Self {
        Self {
            on_failed: on_failed.as_ref().map(CallbackRow::from),
            on_completed: on_completed.as_ref().map(CallbackRow::from),
        }
    }
}

impl From<CallbackRows<'_>> for Callbacks {
    fn from(CallbackRows { on_failed, on_completed }: CallbackRows<'_>) -> Self {
        Self { on_failed: on_failed.map(Callback::from), on_completed: on_completed.map(Callback::from) }
    }
}

impl<'a> From<&'a Callback> for CallbackRow<'a> {
    fn from(Callback { endpoint, headers }: &'a Callback) -> Self {
        Self { endpoint: endpoint.as_str().into(), headers: headers_row(headers) }
    }
}

impl From<CallbackRow<'_>> for Callback {
    fn from(CallbackRow { endpoint, headers }: CallbackRow<'_>) -> Self {
        Self { endpoint: Endpoint::from_stored(endpoint.into_owned()), headers: restore_headers(headers) }
    }
}
