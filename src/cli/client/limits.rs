//! The arguments and the texts of the limits of a client.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::members::text;
use crate::domain::{BudgetChange, LimitChange, LimitsChange};

// No doc comment: it would be the text of each command that has these arguments.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct LimitArguments {
    /// The most deliveries on a day, by UTC; none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = limit_in)]
    deliveries_per_day: Option<LimitChange>,
    /// The most conversations that have not ended; none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = limit_in)]
    live_conversations: Option<LimitChange>,
    /// The most conversations that recur; none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = limit_in)]
    recurrences: Option<LimitChange>,
    /// The same for each threadId of the client
    #[arg(long, value_name = "NUMBER", value_parser = limit_in)]
    thread_deliveries_per_day: Option<LimitChange>,
    /// The same for each threadId of the client
    #[arg(long, value_name = "NUMBER", value_parser = limit_in)]
    thread_live_conversations: Option<LimitChange>,
    /// The same for each threadId of the client
    #[arg(long, value_name = "NUMBER", value_parser = limit_in)]
    thread_recurrences: Option<LimitChange>,
    /// Whether the client may schedule only to hosts that `client approve` has approved
    #[arg(long, value_name = "BOOL")]
    approved_hosts_only: Option<bool>,
}

impl From<LimitArguments> for LimitsChange {
    fn from(arguments: LimitArguments) -> Self {
        let budget = |deliveries: Option<_>, live: Option<_>, recurrences: Option<_>| BudgetChange {
            deliveries_per_day: deliveries.unwrap_or_default(),
            live_conversations: live.unwrap_or_default(),
            recurrences: recurrences.unwrap_or_default(),
        };
        let LimitArguments { deliveries_per_day, live_conversations, recurrences, approved_hosts_only, .. } = arguments;
        Self {
            budget: budget(deliveries_per_day, live_conversations, recurrences),
            thread_budget: budget(
                arguments.thread_deliveries_per_day,
                arguments.thread_live_conversations,
                arguments.thread_recurrences,
            ),
            approved_hosts_only,
        }
    }
}

/// A number, or `none`.
fn limit_in(text: &str) -> Result<LimitChange, &'static str> {
    if text == "none" {
        return Ok(LimitChange::Remove);
    }
    text.parse().map(LimitChange::Set).map_err(|_| "must be a whole number from 0, or none")
}

/// The members of a request that changes limits. What stays as it is, is left out.
pub(super) fn members(change: LimitsChange) -> Map<String, Value> {
    let LimitsChange { budget: whole, thread_budget, approved_hosts_only } = change;
    let budgets = [("budget", whole), ("threadBudget", thread_budget)];
    let budgets = budgets.map(|(name, change)| (name.to_owned(), Value::Object(budget(change))));
    let budgets = budgets.into_iter().filter(|(_, budget)| budget.as_object().is_some_and(|budget| !budget.is_empty()));
    let only = approved_hosts_only.map(|only| ("approvedHostsOnly".to_owned(), only.into()));
    budgets.chain(only).collect()
}

fn budget(BudgetChange { deliveries_per_day, live_conversations, recurrences }: BudgetChange) -> Map<String, Value> {
    let limits = NAMES.map(|(name, _)| name).into_iter().zip([deliveries_per_day, live_conversations, recurrences]);
    let value = |limit| match limit {
        LimitChange::Keep => None,
        LimitChange::Remove => Some(Value::Null),
        LimitChange::Set(number) => Some(json!(number)),
    };
    limits.filter_map(|(name, limit)| Some((name.to_owned(), value(limit)?))).collect()
}

/// The members of a budget, and what people call them.
const NAMES: [(&str, &str); 3] = [
    ("deliveriesPerDay", "deliveries a day"),
    ("liveConversations", "live conversations"),
    ("recurrences", "recurrences"),
];

/// The limits of a client that an answer shows, one line for each kind.
pub(super) fn shown(client: &Value) -> Vec<String> {
    let budget = |name: &str| {
        let budget = client.get(name)?;
        let limits = NAMES.iter().filter_map(|(name, words)| Some(format!("{} {words}", budget.get(name)?.as_u64()?)));
        Some(limits.collect::<Vec<_>>().join(", "))
    };
    let line = |label: &str, value: String| format!("{label:<10} {value}");
    let mut lines: Vec<_> = budget("budget").map(|limits| line("budget", limits)).into_iter().collect();
    lines.extend(budget("threadBudget").map(|limits| line("per thread", limits)));
    let hosts = client.get("approvedHosts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let hosts = hosts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    if client.get("approvedHostsOnly").and_then(Value::as_bool).unwrap_or_default() {
        lines.push(line("hosts", if hosts.is_empty() { "none is approved yet".to_owned() } else { hosts }));
    }
    lines
}

/// The answer to a change of limits, for a person.
pub(super) fn changed(client: &Value) -> String {
    let (name, lines) = (text(client, "clientId"), shown(client));
    if lines.is_empty() {
        return format!("Within 60 seconds, {name} has no limits of its own.");
    }
    format!("Within 60 seconds, {name} has these limits:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_only_what_changes() {
        let change = |budget| LimitsChange { budget, ..LimitsChange::default() };
        assert_eq!(members(LimitsChange::default()), Map::new());
        let budget = BudgetChange {
            deliveries_per_day: LimitChange::Set(0),
            recurrences: LimitChange::Remove,
            ..BudgetChange::default()
        };
        let expected = json!({ "budget": { "deliveriesPerDay": 0, "recurrences": null }, "approvedHostsOnly": true });
        let change = LimitsChange { approved_hosts_only: Some(true), ..change(budget) };
        assert_eq!(Value::Object(members(change)), expected);
    }

    #[test]
    fn a_person_sees_the_limits_in_words() {
        let client = json!({ "clientId": "anna", "budget": { "deliveriesPerDay": 9, "recurrences": 0 },
                             "threadBudget": { "liveConversations": 1 }, "approvedHostsOnly": true });
        assert_eq!(
            changed(&client),
            "Within 60 seconds, anna has these limits:\n\
             budget     9 deliveries a day, 0 recurrences\n\
             per thread 1 live conversations\n\
             hosts      none is approved yet"
        );
        let client = json!({ "clientId": "anna", "approvedHostsOnly": false, "approvedHosts": ["a.example"] });
        assert_eq!(changed(&client), "Within 60 seconds, anna has no limits of its own.");
    }
}
