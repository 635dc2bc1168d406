//! The limits that an operator sets for one client.

use super::usage::Day;
use super::{EndpointHost, Usage};

/// The limits of a client. Without any, only those of the service hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// What all conversations of the client together may be.
    pub budget: Budget,
    /// What the conversations of each of its threads together may be.
    pub thread_budget: Budget,
    /// Whether the client may schedule only to hosts that are approved.
    pub approved_hosts_only: bool,
    /// The approved hosts, sorted. They are kept while the client may schedule to every host.
    pub approved_hosts: Vec<EndpointHost>,
}

/// How much a client or a thread may have. `None` is no limit, and 0 allows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Deliveries that are due on one day, by UTC.
    pub deliveries_per_day: Option<u32>,
    /// Conversations that have not ended.
    pub live_conversations: Option<u32>,
    /// Conversations that recur and have not ended.
    pub recurrences: Option<u32>,
}

/// What an operator changes in the limits of a client. What is not named stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// The change of [`ClientLimits::budget`].
    pub budget: BudgetChange,
    /// The change of [`ClientLimits::thread_budget`].
    pub thread_budget: BudgetChange,
    /// The new value of [`ClientLimits::approved_hosts_only`].
    pub approved_hosts_only: Option<bool>,
}

/// What changes in a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetChange {
    /// See [`Budget::deliveries_per_day`].
    pub deliveries_per_day: LimitChange,
    /// See [`Budget::live_conversations`].
    pub live_conversations: LimitChange,
    /// See [`Budget::recurrences`].
    pub recurrences: LimitChange,
}

/// What becomes of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is no limit any more.
    Remove,
    /// It is this number.
    Set(u32),
}

/// The part of a budget that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// What the budget limits.
    pub of: BudgetPart,
    /// How much there is, approximately.
    pub used: usize,
    /// How much the request needs in addition.
    pub needed: usize,
    /// How much there may be.
    pub limit: u32,
}

/// What a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetPart {
    /// [`Budget::deliveries_per_day`], on this day, or on every day.
    Deliveries(Option<Day>),
    /// [`Budget::live_conversations`]
    LiveConversations,
    /// [`Budget::recurrences`]
    Recurrences,
}

impl ClientLimits {
    /// The most hosts that can be approved for a client. They are in the client's row.
    pub const MAX_HOSTS: usize = 200;

    /// No limits.
    #[must_use]
    pub const fn none() -> Self {
        let budget = Budget { deliveries_per_day: None, live_conversations: None, recurrences: None };
        Self { budget, thread_budget: budget, approved_hosts_only: false, approved_hosts: Vec::new() }
    }

    /// The limits after a change.
    #[must_use]
    pub fn changed(self, change: LimitsChange) -> Self {
        Self {
            budget: self.budget.changed(change.budget),
            thread_budget: self.thread_budget.changed(change.thread_budget),
            approved_hosts_only: change.approved_hosts_only.unwrap_or(self.approved_hosts_only),
            ..self
        }
    }

    /// The limits with or without the approval of a host. `None` if there is no room for another host.
    #[must_use]
    pub fn with_approval(mut self, host: &EndpointHost, is_approved: bool) -> Option<Self> {
        match (self.approved_hosts.binary_search(host), is_approved) {
            (Err(_), true) if self.approved_hosts.len() >= Self::MAX_HOSTS => return None,
            (Err(at), true) => self.approved_hosts.insert(at, host.clone()),
            (Ok(at), false) => drop(self.approved_hosts.remove(at)),
            _ => {}
        }
        Some(self)
    }

    /// Whether there is a budget, so that somebody has to count.
    #[must_use]
    pub fn has_budget(&self) -> bool {
        [self.budget, self.thread_budget] != [Budget::default(); 2]
    }

    /// Whether the client may schedule to this host.
    #[must_use]
    pub fn allows(&self, host: &EndpointHost) -> bool {
        !self.approved_hosts_only || self.approved_hosts.contains(host)
    }
}

impl Budget {
    fn changed(self, change: BudgetChange) -> Self {
        Self {
            deliveries_per_day: change.deliveries_per_day.of(self.deliveries_per_day),
            live_conversations: change.live_conversations.of(self.live_conversations),
            recurrences: change.recurrences.of(self.recurrences),
        }
    }

    /// The part that has no room for what is needed. What needs nothing of a part is not refused by it.
    #[must_use]
    pub fn overrun(&self, used: &Usage, needed: &Usage) -> Option<Overrun> {
        let overrun = |of, used, needed, limit: Option<u32>| {
            let limit = limit?;
            let is_over = needed > 0 && used + needed > usize::try_from(limit).unwrap_or(usize::MAX);
            is_over.then_some(Overrun { of, used, needed, limit })
        };
        let mut days = needed.deliveries(used).map(|(day, used, needed)| (BudgetPart::Deliveries(day), used, needed));
        days.find_map(|(of, used, needed)| overrun(of, used, needed, self.deliveries_per_day))
            .or_else(|| overrun(BudgetPart::LiveConversations, used.live, needed.live, self.live_conversations))
            .or_else(|| overrun(BudgetPart::Recurrences, used.recurrences, needed.recurrences, self.recurrences))
    }
}

impl LimitChange {
    const fn of(self, before: Option<u32>) -> Option<u32> {
        match self {
            Self::Keep => before,
            Self::Remove => None,
            Self::Set(limit) => Some(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    const TODAY: Timestamp = Timestamp::from_millis(1_893_499_200_000);

    fn once(count: usize) -> Usage {
        (0..count).fold(Usage::default(), |mut usage, _| {
            usage.add_live(TODAY, None, Day::of(TODAY));
            usage
        })
    }

    fn recurring(per_day: u32) -> Usage {
        let mut usage = Usage::default();
        usage.add_live(TODAY, Some(per_day), Day::of(TODAY));
        usage
    }

    #[test]
    fn a_budget_is_full_at_its_limit_and_asks_for_nothing_where_nothing_is_needed() {
        let budget = Budget { live_conversations: Some(2), ..Budget::default() };
        assert_eq!(budget.overrun(&once(1), &once(1)), None);
        let over = Overrun { of: BudgetPart::LiveConversations, used: 2, needed: 1, limit: 2 };
        assert_eq!(budget.overrun(&once(2), &once(1)), Some(over));
        assert_eq!(budget.overrun(&once(9), &Usage::default()), None);
        assert_eq!(Budget::default().overrun(&once(9), &once(9)), None);
        let none = Budget { recurrences: Some(0), ..Budget::default() };
        assert_eq!(none.overrun(&Usage::default(), &once(1)), None);
        assert!(none.overrun(&Usage::default(), &recurring(1)).is_some());
    }

    #[test]
    fn a_recurrence_needs_its_deliveries_on_every_day() {
        let budget = Budget { deliveries_per_day: Some(25), ..Budget::default() };
        let of = BudgetPart::Deliveries(Some(Day::of(TODAY)));
        assert_eq!(budget.overrun(&once(1), &recurring(24)), None);
        assert_eq!(budget.overrun(&once(2), &recurring(24)), Some(Overrun { of, used: 2, needed: 24, limit: 25 }));
        assert_eq!(budget.overrun(&recurring(24), &once(1)), None);
        assert_eq!(budget.overrun(&recurring(24), &once(2)), Some(Overrun { of, used: 24, needed: 2, limit: 25 }));
        assert!(budget.overrun(&Usage::default(), &recurring(26)).is_some(), "also without another delivery");
        assert!(budget.overrun(&recurring(24), &recurring(24)).is_some());
    }

    #[test]
    fn only_a_client_with_the_flag_is_bound_to_approved_hosts() {
        let host = |name: &str| name.parse::<EndpointHost>().unwrap();
        let free = ClientLimits { approved_hosts: vec![host("a.example")], ..ClientLimits::none() };
        assert!(free.allows(&host("b.example")));
        let bound = ClientLimits { approved_hosts_only: true, ..free };
        assert!(bound.allows(&host("A.example")) && !bound.allows(&host("b.example")));
        assert!(!bound.allows(&host("x.a.example")));
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let limits = |deliveries_per_day, live_conversations| {
            let budget = Budget { deliveries_per_day, live_conversations, ..Budget::default() };
            ClientLimits { budget, approved_hosts_only: true, ..ClientLimits::none() }
        };
        let budget = BudgetChange { live_conversations: LimitChange::Set(3), ..BudgetChange::default() };
        let change = LimitsChange { budget, ..LimitsChange::default() };
        assert_eq!(limits(Some(1), Some(2)).changed(change), limits(Some(1), Some(3)));
        let budget = BudgetChange { deliveries_per_day: LimitChange::Remove, ..BudgetChange::default() };
        let change = LimitsChange { budget, ..LimitsChange::default() };
        assert_eq!(limits(Some(1), Some(2)).changed(change), limits(None, Some(2)));
    }

    #[test]
    fn hosts_are_approved_once_and_up_to_a_number() {
        let host = |number: usize| format!("h{number:03}.example").parse::<EndpointHost>().unwrap();
        let all = (0..ClientLimits::MAX_HOSTS).rev().fold(ClientLimits::none(), |limits, number| {
            limits.with_approval(&host(number), true).unwrap().with_approval(&host(number), true).unwrap()
        });
        assert_eq!(all.approved_hosts.len(), ClientLimits::MAX_HOSTS);
        assert!(all.approved_hosts.is_sorted());
        assert_eq!(all.clone().with_approval(&host(999), true), None);
        let one_less = all.with_approval(&host(7), false).unwrap();
        assert_eq!(one_less.approved_hosts.len(), ClientLimits::MAX_HOSTS - 1);
        assert!(one_less.with_approval(&host(999), false).is_some());
    }
}
