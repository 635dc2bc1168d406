//! The limits of a client in requests and responses.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::domain::{Budget, BudgetChange, ClientLimits, EndpointHost, InvalidHost, LimitChange, LimitsChange};

/// What changes in the limits of a client. What is left out stays as it is, and `null` removes a limit.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClientLimitsRequest {
    /// What all conversations of the client together may be.
    budget: Option<BudgetRequest>,
    /// What the conversations of each threadId of the client together may be.
    thread_budget: Option<BudgetRequest>,
    /// Whether the client may schedule only to hosts that approveClientHost has approved.
    approved_hosts_only: Option<bool>,
}

/// A budget. 0 allows nothing.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct BudgetRequest {
    /// Deliveries that are due on one day, by UTC. A conversation that recurs counts on every day with the most that it can
    /// have on a day.
    #[schemars(with = "Option<u32>", range(max = BudgetRequest::MAX))]
    deliveries_per_day: LimitChange,
    /// Conversations that are `Scheduled` or `InProgress`.
    #[schemars(with = "Option<u32>", range(max = BudgetRequest::MAX))]
    live_conversations: LimitChange,
    /// Those of them that recur.
    #[schemars(with = "Option<u32>", range(max = BudgetRequest::MAX))]
    recurrences: LimitChange,
}

impl BudgetRequest {
    const MAX: u32 = 1_000_000_000;
    const EXAMPLE: &str = r#"{ "deliveriesPerDay": 100 }"#;
}

impl FromObject for BudgetRequest {
    const SYNONYMS: Synonyms = &[
        ("deliveriesPerDay", &["deliveries", "perday", "daily"]),
        ("liveConversations", &["live", "conversations", "pending"]),
        ("recurrences", &["recurring", "series"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            deliveries_per_day: object.limit("deliveriesPerDay", 0..=Self::MAX),
            live_conversations: object.limit("liveConversations", 0..=Self::MAX),
            recurrences: object.limit("recurrences", 0..=Self::MAX),
        }
    }
}

impl FromObject for ClientLimitsRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            budget: object.object("budget", BudgetRequest::EXAMPLE),
            thread_budget: object.object("threadBudget", BudgetRequest::EXAMPLE),
            approved_hosts_only: object.boolean("approvedHostsOnly"),
        }
    }
}

impl From<ClientLimitsRequest> for LimitsChange {
    fn from(request: ClientLimitsRequest) -> Self {
        let change = |budget: Option<BudgetRequest>| {
            let BudgetRequest { deliveries_per_day, live_conversations, recurrences } = budget.unwrap_or_default();
            BudgetChange { deliveries_per_day, live_conversations, recurrences }
        };
        Self {
            budget: change(request.budget),
            thread_budget: change(request.thread_budget),
            approved_hosts_only: request.approved_hosts_only,
        }
    }
}

/// A host, and whether a client may schedule to it.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ApproveHostRequest {
    /// The host of an endpoint, without a scheme, a port or a path, such as hooks.example.com.
    #[schemars(required, length(min = 1, max = EndpointHost::MAX))]
    host: Option<String>,
    /// false takes the approval back. Without it, the host is approved.
    approved: Option<bool>,
}

impl FromObject for ApproveHostRequest {
    const SYNONYMS: Synonyms = &[("host", &["hostname", "name", "domain", "url", "endpoint"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { host: object.string("host"), approved: object.boolean("approved") }
    }
}

impl ApproveHostRequest {
    /// The host, and whether it is approved.
    ///
    /// # Errors
    /// An [`ErrorDetail`] if the host is none.
    pub(crate) fn validate(self) -> Result<(EndpointHost, bool), Vec<ErrorDetail>> {
        let host = self.host.unwrap_or_default().parse();
        let wrong = |error: InvalidHost| vec![ErrorDetail { pointer: "/host".to_owned(), detail: error.to_string() }];
        Ok((host.map_err(wrong)?, self.approved.unwrap_or(true)))
    }
}

/// The limits of a client. Those that it does not have are left out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientLimitsResponse {
    /// What all conversations of the client together may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetResponse>,
    /// What the conversations of each threadId of the client together may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_budget: Option<BudgetResponse>,
    /// Whether the client may schedule only to the approved hosts.
    approved_hosts_only: bool,
    /// The approved hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    approved_hosts: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BudgetResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries_per_day: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_conversations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recurrences: Option<u32>,
}

impl From<&ClientLimits> for ClientLimitsResponse {
    fn from(limits: &ClientLimits) -> Self {
        let ClientLimits { budget, thread_budget, approved_hosts_only, approved_hosts } = limits;
        let shown = |budget: Budget| {
            let Budget { deliveries_per_day, live_conversations, recurrences } = budget;
            let response = BudgetResponse { deliveries_per_day, live_conversations, recurrences };
            (budget != Budget::default()).then_some(response)
        };
        Self {
            budget: shown(*budget),
            thread_budget: shown(*thread_budget),
            approved_hosts_only: *approved_hosts_only,
            approved_hosts: approved_hosts.iter().map(EndpointHost::to_string).collect(),
        }
    }
}
