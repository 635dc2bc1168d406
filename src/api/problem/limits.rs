//! The problems of a client that has reached one of its limits.

use http::header::RETRY_AFTER;

use super::{Problem, ProblemType};
use crate::domain::{BudgetPart, ClientId, EndpointHost, Overrun};
use crate::scheduler::{BudgetExceeded, Quota, QuotaExceeded};

impl Problem {
    pub(super) fn quota_exceeded(QuotaExceeded { quota, needed, pending, limit, recount }: QuotaExceeded) -> Self {
        // Rounded up: a moment before the count, the same request would be refused again.
        let seconds = recount.as_secs() + 1;
        let (detail, less) = match quota {
            Quota::Conversations => {
                let (pending, limit) = (pending.conversations, limit.conversations);
                let detail = format!(
                    "This client has about {pending} pending conversations (Scheduled or InProgress), and at most {limit} \
                     may be pending. The number may be a minute old."
                );
                (detail, "")
            }
            Quota::Bytes => {
                let (needed, pending, limit) = (needed.bytes, pending.bytes, limit.bytes);
                let detail = format!(
                    "The pending conversations (Scheduled or InProgress) of this client have about {pending} bytes of \
                     texts, additionalInfo, headers, bodies and callbacks, and may have at most {limit}. This request \
                     needs {needed} more. The number may be a minute old."
                );
                (detail, " A request with fewer bytes may have room.")
            }
        };
        let hint = format!(
            "Cancel conversations that are no longer needed (cancelConversation, \
             cancelConversations), or wait until some have been delivered. Then send the same request again, after \
             {seconds} seconds.{less}"
        );
        Self::new(ProblemType::QuotaExceeded, detail).hint(hint).header(RETRY_AFTER, seconds.to_string())
    }

    pub(super) fn budget_exceeded(exceeded: &BudgetExceeded) -> Self {
        let BudgetExceeded { thread, overrun: Overrun { of, used, needed, limit }, recount } = exceeded;
        let (name, there) = match of {
            BudgetPart::Deliveries(Some(day)) => {
                ("deliveries a day", format!("about {used} are due or done on {day} (UTC)"))
            }
            BudgetPart::Deliveries(None) => ("deliveries a day", format!("about {used} are due or done on each day")),
            BudgetPart::LiveConversations => ("live conversations", format!("it has about {used}")),
            BudgetPart::Recurrences => ("recurring conversations", format!("it has about {used}")),
        };
        let whose = if thread.is_some() { "This threadId" } else { "This client" };
        let detail = format!(
            "{whose} has a budget of {limit} {name}, and {there}. This request needs {needed} more, so nothing was \
             scheduled."
        );
        let seconds = recount.as_secs() + 1;
        let what_helps = match of {
            BudgetPart::Deliveries(_) => {
                "Choose another day, or cancel conversations that are no longer needed (cancelConversation, \
                 cancelConversations)"
            }
            BudgetPart::LiveConversations | BudgetPart::Recurrences => {
                "Cancel conversations that are no longer needed (cancelConversation, cancelConversations)"
            }
        };
        let hint = format!(
            "{what_helps}; their room is free after {seconds} seconds at most. Do not repeat this request as it is. Tell \
             the person that the budget is used up: whoever runs this service can raise it (mcp-scheduler client limit)."
        );
        Self::new(ProblemType::BudgetExceeded, detail).hint(hint)
    }

    pub(super) fn host_not_approved(client: &ClientId, host: &EndpointHost) -> Self {
        let detail = format!(
            "The client {client} may schedule only to approved hosts, and {host} is not approved, so nothing was scheduled."
        );
        let hint = format!(
            "Ask the person who runs this service to approve the host, with: mcp-scheduler client approve {client} {host} \
             (operation approveClientHost). Then send the same request again, after a minute at most. Do not send the text \
             to another host instead."
        );
        Self::new(ProblemType::HostNotApproved, detail).hint(hint)
    }
}
