//! The attempts that this process has under way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::domain::ConversationId;
use crate::sync::lock;

/// The conversations of which this process has an attempt under way.
///
/// A lease ends by a clock, and a clock may be set forward while an attempt is under way. So in the process that holds
/// the lease, the attempt itself decides: while it lasts, the process neither claims another one nor lets the client
/// cancel.
#[derive(Clone, Debug, Default)]
pub struct LiveAttempts(Arc<Mutex<HashSet<ConversationId>>>);

/// An attempt that is under way until this value is dropped.
#[derive(Debug)]
pub struct LiveAttempt {
    all: LiveAttempts,
    id: ConversationId,
}

impl LiveAttempts {
    /// Begins an attempt. `None` if this process has one of the same conversation under way.
    #[must_use]
    pub fn begin(&self, id: ConversationId) -> Option<LiveAttempt> {
        lock(&self.0).insert(id).then(|| LiveAttempt { all: self.clone(), id })
    }

    /// Whether this process has an attempt of this conversation under way.
    #[must_use]
    pub fn contains(&self, id: ConversationId) -> bool {
        lock(&self.0).contains(&id)
    }
}

impl Drop for LiveAttempt {
    fn drop(&mut self) {
        lock(&self.all.0).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_has_one_attempt_until_the_value_is_dropped() {
        let (all, id) = (LiveAttempts::default(), "01890000-0000-7000-8000-00000000000f".parse().unwrap());
        let first = all.begin(id);
        assert!(first.is_some() && all.begin(id).is_none() && all.contains(id));
        drop(first);
        assert!(!all.contains(id) && all.begin(id).is_some());
    }
}
