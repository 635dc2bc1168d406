//! The fields `onFailed` and `onCompleted` of a schedule request.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::field_errors::FieldErrors;
use super::schedule_request::{check_headers, read_headers};
use super::{FromObject, ObjectReader, Synonyms};
use crate::domain::{Callback, EndpointPolicy, Headers, Secret};

/// An endpoint that is told how the delivery ended.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallbackRequest {
    /// The endpoint: an https URL of at most 2048 characters, without a user name or password. The news is sent with POST.
    #[schemars(required, length(min = 1, max = EndpointPolicy::MAX_BYTES), extend("format" = "uri"))]
    pub endpoint: Option<String>,
    /// HTTP headers for it, by name; at most 32. No response shows their values.
    #[schemars(with = "Option<BTreeMap<String, String>>", extend("maxProperties" = Headers::MAX_COUNT))]
    pub headers: Option<Vec<(String, Secret<String>)>>,
}

impl FromObject for CallbackRequest {
    const SYNONYMS: Synonyms =
        &[("endpoint", &["url", "uri", "webhook", "webhookurl", "target", "to"]), ("headers", &["httpheaders"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { endpoint: object.string("endpoint"), headers: read_headers(object) }
    }
}

impl CallbackRequest {
    /// An example for callers.
    pub(super) const EXAMPLE: &'static str = r#"{"endpoint": "https://example.com/news"}"#;

    /// Checks the endpoint and the headers by the rules for those of the conversation. `field` is the pointer to the
    /// callback.
    pub(super) fn check(self, field: &str, endpoints: &EndpointPolicy, errors: &mut FieldErrors) -> Option<Callback> {
        let endpoint = endpoints.check(self.endpoint.as_deref().unwrap_or_default());
        let endpoint = errors.check(&format!("{field}/endpoint"), endpoint);
        let headers = check_headers(self.headers, &format!("{field}/headers"), errors);
        Some(Callback { endpoint: endpoint?, headers })
    }
}
