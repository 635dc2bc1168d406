//! The list request as callers write it, and its validation.

use schemars::JsonSchema;

use super::field_errors::FieldErrors;
use super::{ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::domain::{EndpointHost, Label, Labels, ListOrder, Status, Timestamp};
use crate::scheduler::{CursorKeys, ListFilter, ListQuery, Listed};

/// The filters and the page of a list of conversations.
#[allow(clippy::doc_markdown)] // language models read the documentation of the fields
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListRequest {
    /// Return only conversations with this status. Scheduled: the delivery time is still to come, the next one first.
    /// InProgress: the time has come, and an attempt is to begin, is under way or follows after a failed one.
    /// Completed, Failed and Cancelled: the one that ended last comes first. Without a status, conversations with any status
    /// are returned, the newest first.
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    pub status: Option<String>,
    /// The order. It follows from the status and can be left out. Without a status: created (the default) returns all
    /// conversations, the newest first; due returns those that have not ended, the one that is due next first.
    #[schemars(extend("enum" = ListOrder::ALL.map(ListOrder::as_str)))]
    pub order: Option<String>,
    /// Return only conversations from this RFC 3339 time on, such as 2030-01-31T00:00:00Z. It is compared with the delivery
    /// time of conversations that are Scheduled or InProgress, and with the time of the end of the others. It needs a
    /// status, or order=due.
    #[schemars(length(max = 64))]
    pub from: Option<String>,
    /// Return only conversations before this RFC 3339 time. It is compared like from.
    #[schemars(length(max = 64))]
    pub to: Option<String>,
    /// Return only conversations that have this label, written as key:value, such as team:ops.
    #[schemars(length(max = ListRequest::MAX_LABEL))]
    pub label: Option<String>,
    /// Return only conversations whose endpoint has this host, such as example.com. Case does not matter; subdomains are
    /// other hosts.
    #[schemars(length(max = EndpointHost::MAX))]
    pub endpoint_host: Option<String>,
    /// The most conversations on a page. The default is 50. A page may have fewer, even none, although more follow: then it
    /// has a nextCursor.
    #[schemars(range(min = 1, max = ListRequest::MAX_LIMIT))]
    pub limit: Option<u32>,
    /// The nextCursor of the page before, with the same filters and order. Without it, the first page is returned.
    #[schemars(length(max = CursorKeys::MAX_LENGTH))]
    pub cursor: Option<String>,
}

impl FromObject for ListRequest {
    const SYNONYMS: Synonyms = &[
        ("status", &["state", "statuses", "filter"]),
        ("order", &["orderby", "sort", "sortby", "sortorder", "direction"]),
        ("from", &["since", "start", "starttime", "fromtime", "min", "duefrom", "begin", "scheduledafter"]),
        ("to", &["until", "before", "end", "endtime", "totime", "dueto", "scheduledbefore"]),
        ("label", &["labels", "tag", "tags"]),
        ("endpointHost", &["host", "endpoint", "hostname", "domain", "url"]),
        ("limit", &["count", "pagesize", "perpage", "max", "maxresults", "size", "top", "first"]),
        (
            "cursor",
            &["nextcursor", "page", "pagetoken", "nextpagetoken", "continuationtoken", "after", "offset", "skip"],
        ),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            status: object.string("status"),
            order: object.string("order"),
            from: object.string_or_number("from"),
            to: object.string_or_number("to"),
            label: object.string("label"),
            endpoint_host: object.string("endpointHost"),
            limit: object.whole_number_or_text("limit", 1..=Self::MAX_LIMIT),
            cursor: object.string("cursor"),
        }
    }
}

impl ListRequest {
    /// The highest limit that a caller may set.
    pub const MAX_LIMIT: u32 = 100;
    pub(super) const DEFAULT_LIMIT: u32 = 50;
    pub(super) const MAX_LABEL: usize = Labels::MAX_KEY + 1 + Labels::MAX_VALUE;

    /// Checks all fields but the limit, which is checked where it is read, and the cursor, which only its maker can check.
    /// A field that is empty counts as absent, because generated clients send empty parameters.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub fn validate(self) -> Result<ListQuery, Vec<ErrorDetail>> {
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut errors = FieldErrors::default();
        let status = set(self.status).and_then(|text| errors.check("/status", text.parse::<Status>()));
        let order = set(self.order).and_then(|text| errors.check("/order", text.parse::<ListOrder>()));
        let mut time = |pointer: &str, text: Option<String>| {
            set(text).and_then(|text| errors.check(pointer, Timestamp::parse(&with_plus(text))))
        };
        let (from, to) = (time("/from", self.from), time("/to", self.to));
        let label = set(self.label).and_then(|text| errors.check("/label", text.parse::<Label>()));
        let endpoint_host =
            set(self.endpoint_host).and_then(|t| errors.check("/endpointHost", t.parse::<EndpointHost>()));
        let listed = if errors.0.is_empty() { errors.check("/order", listed(status, order)) } else { None };
        if listed == Some(Listed::All) {
            let detail = "needs a status, because it is the delivery time of conversations that are Scheduled or InProgress, \
                          and the time of the end of the others; for all that are still to be delivered use order=due";
            for (pointer, _) in [("/from", from), ("/to", to)].into_iter().filter(|(_, time)| time.is_some()) {
                errors.add(pointer, detail);
            }
        }
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            errors.add("/to", format!("must be later than from, which is {from}"));
        }
        let filter = listed.filter(|_| errors.0.is_empty());
        let filter = filter.map(|listed| ListFilter { listed, from, to, label, endpoint_host });
        let filter = filter.ok_or(errors.0)?;
        Ok(ListQuery { filter, limit: self.limit.unwrap_or(Self::DEFAULT_LIMIT) as usize, cursor: set(self.cursor) })
    }
}

/// The conversations that a status and an order mean.
fn listed(status: Option<Status>, order: Option<ListOrder>) -> Result<Listed, String> {
    let of_status = |status: Status| if status.is_final() { ListOrder::Ended } else { ListOrder::Due };
    match (status, order) {
        (None, None | Some(ListOrder::Created)) => Ok(Listed::All),
        (None, Some(ListOrder::Due)) => Ok(Listed::Live),
        (None, Some(ListOrder::Ended)) => {
            Err("can be ended only with the status Completed, Failed or Cancelled".to_owned())
        }
        (Some(status), Some(order)) if order != of_status(status) => {
            Err(format!("must be {} with the status {status}, or left out", of_status(status)))
        }
        (Some(status), _) => Ok(Listed::Of(status)),
    }
}

/// Restores the `+` of an offset. In a query string it means a space unless it is encoded, and hardly any client knows.
fn with_plus(text: String) -> String {
    match text.rsplit_once(' ') {
        Some((time, offset)) if offset.len() == "01:00".len() && time.contains(['T', 't']) => {
            format!("{time}+{offset}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(status: &str, order: &str, from: &str, to: &str) -> ListRequest {
        let text = |text: &str| Some(text.to_owned());
        ListRequest { status: text(status), order: text(order), from: text(from), to: text(to), ..Default::default() }
    }

    fn errors(request: ListRequest) -> Vec<(String, String)> {
        request.validate().unwrap_err().into_iter().map(|e| (e.pointer, e.detail)).collect()
    }

    fn pointers(request: ListRequest) -> Vec<String> {
        errors(request).into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        assert_eq!(pointers(request("Done", "up", "soon", "1893456000")), ["/status", "/order", "/from", "/to"]);
    }

    #[test]
    fn absent_and_empty_fields_have_their_defaults() {
        let all = ListQuery { filter: ListFilter::ALL, limit: 50, cursor: None };
        assert_eq!(ListRequest::default().validate(), Ok(all.clone()));
        let empty = ListRequest { cursor: Some(String::new()), ..request("", "", "", "") };
        assert_eq!(empty.validate(), Ok(all));
    }

    #[test]
    fn words_ignore_case_and_the_order_follows_from_the_status() {
        for (status, order, listed) in [
            ("", "created", Listed::All),
            ("", "DUE", Listed::Live),
            ("scheduled", "", Listed::Of(Status::Scheduled)),
            ("inprogress", "due", Listed::Of(Status::InProgress)),
            ("Failed", "ended", Listed::Of(Status::Failed)),
            ("Completed", "", Listed::Of(Status::Completed)),
        ] {
            let query = request(status, order, "", "").validate().unwrap();
            assert_eq!(query.filter, ListFilter { listed, ..ListFilter::ALL }, "{status} {order}");
        }
    }

    #[test]
    fn an_order_that_the_status_does_not_have_is_refused_with_the_one_it_has() {
        for (status, order, told) in [
            ("Scheduled", "created", "must be due with the status Scheduled, or left out"),
            ("Failed", "due", "must be ended with the status Failed, or left out"),
            ("", "ended", "can be ended only with the status Completed, Failed or Cancelled"),
        ] {
            assert_eq!(errors(request(status, order, "", "")), [("/order".to_owned(), told.to_owned())]);
        }
    }

    #[test]
    fn times_are_read_with_their_offset_even_if_its_plus_was_not_encoded() {
        let at = |text| Some(Timestamp::parse(text).unwrap());
        for from in ["2030-01-01T09:00:00+01:00", "2030-01-01T09:00:00 01:00", "2030-01-01 08:00", "2030-01-01T08:00Z"]
        {
            let filter = request("Failed", "", from, "2031-01-01T00:00:00Z").validate().unwrap().filter;
            assert_eq!((filter.from, filter.to), (at("2030-01-01T08:00:00Z"), at("2031-01-01T00:00:00Z")), "{from}");
        }
    }

    #[test]
    fn times_need_a_status_or_the_order_of_due_times() {
        let (from, to) = ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z");
        assert_eq!(pointers(request("", "", from, "")), ["/from"]);
        assert_eq!(pointers(request("", "created", from, to)), ["/from", "/to"]);
        assert!(request("", "due", from, to).validate().is_ok());
        for to in [from, "2029-01-01T00:00:00Z"] {
            assert_eq!(pointers(request("Failed", "", from, to)), ["/to"], "{to}");
        }
    }
}
