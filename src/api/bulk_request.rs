//! The requests that cancel or redeliver many conversations, as callers write them, and their validation.

use std::marker::PhantomData;

use schemars::JsonSchema;

use super::list_request::ListRequest;
use super::{ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::domain::{EndpointHost, ListOrder, Status};
use crate::scheduler::{CursorKeys, ListQuery};

/// What is done with many conversations, and which of them it can be done with.
pub(crate) trait Bulk {
    /// The statuses that a filter may name.
    const STATUSES: &'static [Status];
    /// The error of a filter with another status.
    const OTHER_STATUS: &'static str;
    /// The error of a request without a filter.
    const NO_FILTER: &'static str;
}

/// Cancels conversations.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Cancel")]
pub(crate) struct Cancelling;

impl Bulk for Cancelling {
    const STATUSES: &'static [Status] = &[Status::Scheduled, Status::InProgress];
    const OTHER_STATUS: &'static str =
        "must be Scheduled or InProgress, or left out for both; only these can be cancelled";
    const NO_FILTER: &'static str =
        "is required: an object such as {\"label\": \"team:ops\"}; {} means all conversations that have not ended";
}

/// Redelivers conversations.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Redeliver")]
pub(crate) struct Redelivering;

impl Bulk for Redelivering {
    const STATUSES: &'static [Status] = &[Status::Failed];
    const OTHER_STATUS: &'static str = "must be Failed, or left out; only Failed conversations can be redelivered";
    const NO_FILTER: &'static str =
        "is required: an object such as {\"label\": \"team:ops\"}; {} means all Failed conversations";
}

/// The conversations that are changed, and how many of them at most.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Bulk{B}Request", rename_all = "camelCase", deny_unknown_fields, bound = "B: Bulk + JsonSchema")]
pub(crate) struct BulkRequest<B> {
    /// The conversations: those that match all fields of the filter. An empty object means all that can be changed.
    #[schemars(required)]
    filter: Option<BulkFilter<B>>,
    /// The most conversations that this call changes or skips. The default is 100.
    #[schemars(range(min = 1, max = ListRequest::MAX_LIMIT))]
    limit: Option<u32>,
    /// The cursor of the response before, with the same filter. Without it, the call starts from the beginning.
    #[schemars(length(max = CursorKeys::MAX_LENGTH))]
    cursor: Option<String>,
}

/// The filter of a [`BulkRequest`].
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Bulk{B}Filter", rename_all = "camelCase", deny_unknown_fields, bound = "B: Bulk + JsonSchema")]
pub(crate) struct BulkFilter<B> {
    /// Only conversations with this status. Without it, all statuses of the enum.
    #[schemars(extend("enum" = B::STATUSES.iter().map(|status| status.as_str()).collect::<Vec<_>>()))]
    status: Option<String>,
    /// Only conversations that have this label, written as key:value, such as team:ops.
    #[schemars(length(max = ListRequest::MAX_LABEL))]
    label: Option<String>,
    /// Only conversations from this RFC 3339 time on. It is compared with the delivery time, and for Failed ones with the
    /// time at which they failed.
    #[schemars(length(max = 64))]
    from: Option<String>,
    /// Only conversations before this RFC 3339 time. It is compared like from.
    #[schemars(length(max = 64))]
    to: Option<String>,
    /// Only conversations whose endpoint has this host, such as example.com. Subdomains are other hosts.
    #[schemars(length(max = EndpointHost::MAX))]
    endpoint_host: Option<String>,
    #[schemars(skip)]
    done: PhantomData<B>,
}

impl<B: Bulk> FromObject for BulkRequest<B> {
    const SYNONYMS: Synonyms = &[
        ("filter", &["filters", "where", "query", "match", "status", "label", "from", "to", "endpointhost"]),
        ("limit", &["count", "pagesize", "max", "size"]),
        ("cursor", &["nextcursor", "page", "after", "continuationtoken"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            filter: object.object("filter", r#"{"label": "team:ops"}"#),
            limit: object.whole_number("limit", 1..=ListRequest::MAX_LIMIT),
            cursor: object.string("cursor"),
        }
    }
}

impl<B> FromObject for BulkFilter<B> {
    const SYNONYMS: Synonyms = ListRequest::SYNONYMS;

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            status: object.string("status"),
            label: object.string("label"),
            from: object.string_or_number("from"),
            to: object.string_or_number("to"),
            endpoint_host: object.string("endpointHost"),
            done: PhantomData,
        }
    }
}

impl<B: Bulk> BulkRequest<B> {
    /// The list of the conversations that are changed. The limit is checked where it is read.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub(crate) fn validate(self) -> Result<ListQuery, Vec<ErrorDetail>> {
        let Some(filter) = self.filter else {
            return Err(vec![ErrorDetail { pointer: "/filter".to_owned(), detail: B::NO_FILTER.to_owned() }]);
        };
        let (status, mut errors) =
            match filter.status.filter(|text| !text.is_empty()).map(|text| text.parse::<Status>()) {
                None => (None, Vec::new()),
                Some(Ok(status)) if B::STATUSES.contains(&status) => (Some(status), Vec::new()),
                Some(_) => {
                    let detail = B::OTHER_STATUS.to_owned();
                    (None, vec![ErrorDetail { pointer: "/filter/status".to_owned(), detail }])
                }
            };
        // Without a status, a list has either the conversations of one status or those of all that are live.
        let status = status.or(if let [only] = B::STATUSES { Some(*only) } else { None });
        let order = if status.is_none() { Some(ListOrder::Due.as_str().to_owned()) } else { None };
        let list = ListRequest {
            status: status.map(|status| status.as_str().to_owned()),
            order,
            from: filter.from,
            to: filter.to,
            label: filter.label,
            endpoint_host: filter.endpoint_host,
            limit: self.limit.or(Some(ListRequest::MAX_LIMIT)),
            cursor: self.cursor,
        };
        let in_filter = |ErrorDetail { pointer, detail }| ErrorDetail { pointer: format!("/filter{pointer}"), detail };
        match list.validate() {
            Ok(query) if errors.is_empty() => Ok(query),
            Ok(_) => Err(errors),
            Err(more) => {
                errors.extend(more.into_iter().map(in_filter));
                Err(errors)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{ListFilter, Listed};

    fn request<B: Bulk>(json: &str) -> Result<ListQuery, Vec<(String, String)>> {
        let parsed = crate::api::Parsed::<BulkRequest<B>>::from_json(json.as_bytes()).unwrap();
        let pairs = |errors: Vec<ErrorDetail>| errors.into_iter().map(|e| (e.pointer, e.detail)).collect();
        parsed.check(BulkRequest::validate).map_err(pairs)
    }

    #[test]
    fn a_filter_that_is_left_empty_means_all_that_can_be_changed() {
        let all = |listed| ListQuery { filter: ListFilter { listed, ..ListFilter::ALL }, limit: 100, cursor: None };
        assert_eq!(request::<Cancelling>(r#"{"filter":{}}"#), Ok(all(Listed::Live)));
        assert_eq!(request::<Redelivering>(r#"{"filter":{"status":""}}"#), Ok(all(Listed::Of(Status::Failed))));
        for (json, listed) in [("scheduled", Status::Scheduled), ("InProgress", Status::InProgress)] {
            let query = request::<Cancelling>(&format!(r#"{{"filter":{{"status":"{json}"}}}}"#));
            assert_eq!(query, Ok(all(Listed::Of(listed))));
        }
        for json in ["{}", r#"{"filter":null}"#] {
            assert_eq!(
                request::<Cancelling>(json).unwrap_err()[0],
                ("/filter".to_owned(), Cancelling::NO_FILTER.to_owned())
            );
        }
    }

    #[test]
    fn a_status_with_which_nothing_can_be_done_is_refused_with_the_other_errors() {
        for status in ["Completed", "Failed", "Cancelled", "Done"] {
            let errors =
                request::<Cancelling>(&format!(r#"{{"filter":{{"status":"{status}","from":"soon"}}}}"#)).unwrap_err();
            assert_eq!(errors[0], ("/filter/status".to_owned(), Cancelling::OTHER_STATUS.to_owned()), "{status}");
            assert_eq!(errors[1].0, "/filter/from");
        }
        let errors = request::<Redelivering>(r#"{"filter":{"status":"Completed"}}"#).unwrap_err();
        assert_eq!(errors, [("/filter/status".to_owned(), Redelivering::OTHER_STATUS.to_owned())]);
    }
}
