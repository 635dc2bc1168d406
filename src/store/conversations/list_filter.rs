//! The conversations of a list, and the rows by which they are found.

use std::time::Duration;

use crate::domain::{ClientId, Conversation, EndpointHost, Label, Status, Timestamp};
use crate::store::KeyRange;
use crate::store::rows::{self, IndexGroup};

/// The conversations of a list, and with them its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All, the newest first.
    All,
    /// Those that are not final, the earliest due time first.
    Live,
    /// Those with this status. Final ones come in the order of their ends, the latest first, and the others in that of their
    /// due times, the earliest first.
    ///
    /// For a list, a conversation is in progress from its due time on, also while its first attempt has not begun: the
    /// index row does not move when a worker claims it.
    Of(Status),
}

/// The clients whose conversations a list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOwner {
    /// One client.
    Client(ClientId),
    /// All clients, in the order of their ids. The conversations of each come newest first, whatever the filter is: the index
    /// rows have an order for each client alone.
    All,
}

impl From<&ClientId> for ListOwner {
    fn from(client: &ClientId) -> Self {
        Self::Client(client.clone())
    }
}

/// The filters of a list.
///
/// A filter on a field that is in no key belongs into `accepts`: it is applied to the main rows of the
/// range, and the bounds of a page hold for what it rejects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFilter {
    /// Which conversations.
    pub listed: Listed,
    /// Only those that are due, or have ended, at this time or later. A list of all conversations has no times.
    pub from: Option<Timestamp>,
    /// Only those that are due, or have ended, before this time.
    pub to: Option<Timestamp>,
    /// Only those that have this label.
    pub label: Option<Label>,
    /// Only those whose endpoint has this host.
    pub endpoint_host: Option<EndpointHost>,
}

impl ListFilter {
    /// A claim is made some milliseconds before the due time, and by a clock that may be ahead of this one.
    const CLAIMED_AHEAD: Duration = Duration::from_secs(2);

    /// All conversations.
    pub const ALL: Self = Self { listed: Listed::All, from: None, to: None, label: None, endpoint_host: None };

    /// The conversations with one status.
    #[must_use]
    pub const fn of(status: Status) -> Self {
        Self { listed: Listed::Of(status), ..Self::ALL }
    }

    /// Whether index rows name the conversations. The main rows of all others are read.
    #[must_use]
    pub const fn has_index(&self) -> bool {
        self.group().is_some()
    }

    /// The index rows among which the conversations are. `None` for all conversations: their main rows are read.
    pub(super) const fn group(&self) -> Option<IndexGroup> {
        match self.listed {
            Listed::All => None,
            Listed::Live | Listed::Of(Status::Scheduled | Status::InProgress) => Some(IndexGroup::Live),
            Listed::Of(status) => Some(IndexGroup::Ended(status)),
        }
    }

    /// The index rows that the list reads. `now` separates Scheduled conversations from those in progress.
    pub(super) fn index_rows(&self, client: &ClientId, group: IndexGroup, now: Timestamp) -> KeyRange {
        let just_behind = now + Duration::from_millis(1);
        let (from, to) = match self.listed {
            Listed::Of(Status::Scheduled) => (Some(just_behind), None),
            Listed::Of(Status::InProgress) => (None, Some(just_behind + Self::CLAIMED_AHEAD)),
            Listed::All | Listed::Live | Listed::Of(_) => (None, None),
        };
        let to = to.into_iter().chain(self.to).min();
        rows::index_rows(client, group, from.max(self.from), to)
    }

    /// Whether a conversation belongs to the list.
    pub(super) fn accepts(&self, conversation: &Conversation, now: Timestamp) -> bool {
        let (status, due) = (conversation.status(), rows::listed_at(conversation));
        // Each conversation that is not final is in exactly one of the two lists, whatever the clocks say.
        let is_in_progress = due <= now || (status == Status::InProgress && due <= now + Self::CLAIMED_AHEAD);
        let is_listed = match self.listed {
            Listed::All => true,
            Listed::Live => !status.is_final(),
            Listed::Of(Status::Scheduled) => !status.is_final() && !is_in_progress,
            Listed::Of(Status::InProgress) => !status.is_final() && is_in_progress,
            Listed::Of(wanted) => status == wanted,
        };
        let at = conversation.ended().unwrap_or(due);
        is_listed
            && self.from.is_none_or(|from| from <= at)
            && self.to.is_none_or(|to| at < to)
            && self.label.as_ref().is_none_or(|label| conversation.labels().has(label))
            && self.endpoint_host.as_ref().is_none_or(|host| goes_to(conversation, host))
    }
}

fn goes_to(conversation: &Conversation, host: &EndpointHost) -> bool {
    conversation.destination().target().is_some_and(|target| target.endpoint.is_at(host))
}
