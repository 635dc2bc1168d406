//! Wake-ups, and their form as a queue message.

use serde::{Deserialize, Serialize};

use super::rows::{DueBound, DueKey};
use super::{PartitionSet, Slot};
use crate::domain::{ClientId, ConversationId};
use crate::json::{StrictObject, text};

/// Tells a worker to look at what is due.
///
/// A wake-up has no state of a conversation and is not trusted: the worker that receives it reads the rows first. So a
/// lost, late, early, doubled or forged wake-up can cost time or reads, but cannot cause a wrong delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeUp {
    /// Look at due rows of a second.
    Slot(SlotWakeUp),
    /// The dead man's switch: look whether the sweep still runs, from this second on.
    Switch(Slot),
    /// Look at one conversation. The first release wrote such messages.
    Conversation {
        /// The owner of the conversation.
        client: ClientId,
        /// The id of the conversation.
        id: ConversationId,
    },
}

/// The due rows at which a worker should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotWakeUp {
    /// The second in which the rows are due.
    pub slot: Slot,
    /// The partitions of the rows. Never empty.
    pub partitions: PartitionSet,
    /// The part of the rows that another worker has left. `None` for all rows of the second.
    pub part: Option<Part>,
}

/// Due rows that a worker leaves to others. They may begin before the second of their wake-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The rows are behind this place.
    pub after: DueBound,
    /// The key of the last row. `None` if the rows go on to the end of the second.
    pub until: Option<DueKey>,
    /// How many times in turn there was no permit for these rows.
    pub postponed: u32,
}

/// The form of a message. The wake-up is nested, because the Functions host adds the top-level fields of a message to the
/// metadata of the invocation. A field with the name of one of the host's own fields would hide it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<J> {
    v: u32,
    job: J,
}

/// Version 2: `{"v":2,"job":{"slot":"2030-01-31T08:30:00Z","partitions":"05af"}}`. The switch has no partitions.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotJob {
    #[serde(with = "text")]
    slot: Slot,
    #[serde(default, with = "text", skip_serializing_if = "is_empty")]
    partitions: PartitionSet,
    #[serde(default, with = "text::optional", skip_serializing_if = "Option::is_none")]
    after: Option<DueBound>,
    #[serde(default, with = "text::optional", skip_serializing_if = "Option::is_none")]
    until: Option<DueKey>,
    #[serde(default, skip_serializing_if = "is_zero")]
    postponed: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
const fn is_empty(set: &PartitionSet) -> bool {
    set.is_empty()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Version 1: `{"v":1,"job":{"client":…,"id":…,"generation":…}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConversationJob {
    #[serde(deserialize_with = "text::deserialize")]
    client: ClientId,
    #[serde(deserialize_with = "text::deserialize")]
    id: ConversationId,
    #[serde(rename = "generation")]
    _generation: u32,
}

/// The reason why a message is not a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWakeUp {
    /// A newer version of this program wrote the message.
    #[error("the message has version {0} and this program reads version {version}", version = WakeUp::VERSION)]
    Newer(u32),
    /// The message does not have the form of a wake-up.
    #[error("the message is not a wake-up")]
    Malformed,
}

impl WakeUp {
    /// The version of the message form that this program writes.
    pub const VERSION: u32 = 2;

    /// The wake-up for all due rows of a second in these partitions.
    #[must_use]
    pub const fn of_slot(slot: Slot, partitions: PartitionSet) -> Self {
        Self::Slot(SlotWakeUp { slot, partitions, part: None })
    }

    /// The wake-up as the text of a queue message. `None` for one of the first release, which nobody writes any more.
    #[must_use]
    pub fn to_message(&self) -> Option<String> {
        let job = match self {
            Self::Slot(SlotWakeUp { slot, partitions, part }) => SlotJob {
                slot: *slot,
                partitions: *partitions,
                after: part.as_ref().map(|part| part.after.clone()),
                until: part.as_ref().and_then(|part| part.until.clone()),
                postponed: part.as_ref().map_or(0, |part| part.postponed),
            },
            Self::Switch(slot) => {
                SlotJob { slot: *slot, partitions: PartitionSet::default(), after: None, until: None, postponed: 0 }
            }
            Self::Conversation { .. } => return None,
        };
        serde_json::to_string(&Message { v: Self::VERSION, job }).ok()
    }

    /// Reads the text of a queue message.
    ///
    /// # Errors
    /// [`InvalidWakeUp`]. It does not quote the text, which may come from anyone with access to the queue.
    pub fn from_message(text: &str) -> Result<Self, InvalidWakeUp> {
        match version(text).ok_or(InvalidWakeUp::Malformed)? {
            1 => read::<ConversationJob>(text)
                .map(|ConversationJob { client, id, .. }| Self::Conversation { client, id }),
            Self::VERSION => read::<SlotJob>(text)?.try_into(),
            newer if newer > Self::VERSION => Err(InvalidWakeUp::Newer(newer)),
            _ => Err(InvalidWakeUp::Malformed),
        }
    }
}

impl TryFrom<SlotJob> for WakeUp {
    type Error = InvalidWakeUp;

    fn try_from(job: SlotJob) -> Result<Self, InvalidWakeUp> {
        let SlotJob { slot, partitions, after, until, postponed } = job;
        let part = match after {
            Some(after) if until.as_ref().is_none_or(|until| after.is_before(until)) => {
                Some(Part { after, until, postponed })
            }
            None if until.is_none() && postponed == 0 => None,
            _ => return Err(InvalidWakeUp::Malformed),
        };
        match part {
            part if !partitions.is_empty() => Ok(Self::Slot(SlotWakeUp { slot, partitions, part })),
            None => Ok(Self::Switch(slot)),
            Some(_) => Err(InvalidWakeUp::Malformed),
        }
    }
}

fn read<'a, J: Deserialize<'a>>(text: &'a str) -> Result<J, InvalidWakeUp> {
    match serde_json::from_str(text) {
        Ok(StrictObject(Message { job: StrictObject(job), .. })) => Ok(job),
        Err(_) => Err(InvalidWakeUp::Malformed),
    }
}

/// The version of a message, whatever else it has.
fn version(text: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let StrictObject(Version { v }) = serde_json::from_str(text).ok()?;
    Some(v)
}

#[cfg(test)]
#[path = "wake_up_tests.rs"]
mod tests;
