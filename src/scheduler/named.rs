//! The use cases of `scheduleNamedConversation`, `getNamedConversation` and `cancelNamedConversation`.

use super::{Scheduler, SchedulerError};
use crate::domain::{
    ClientId, Conversation, ConversationId, ConversationName, Named, NewConversation, Sha256, Status, Update,
    WholeConversation,
};
use crate::metrics::{self, Metrics};
use crate::store::{ConversationStore, NameHolder, StoreError, Versioned};

/// What tells whether a conversation already is what a client wants under its name.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Two definitions are the same if their fingerprints are equal.
    pub fingerprint: Sha256,
    /// Whether a series is to be paused. Without a value it stays paused or not, so that a program that starts again does
    /// not resume what a person has paused.
    pub paused: Option<bool>,
    /// Whether it says from when on a conversation recurs.
    pub sets_start: bool,
}

/// What a request did to the conversation with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedOutcome {
    /// There was none that could be changed, so there is a new one.
    Created,
    /// It is now as the request defines it.
    Updated,
    /// It has been as the request defines it before.
    Unchanged,
}

impl Scheduler {
    /// Sees to it that a client has a conversation with this name and definition. A conversation with another definition
    /// is updated, or a new one takes its name if it is final. One that was cancelled is replaced in any case.
    ///
    /// # Errors
    /// [`SchedulerError::UpdateRefused`], [`SchedulerError::Busy`], and as [`Scheduler::schedule`].
    pub async fn schedule_named(
        &self,
        client: &ClientId,
        name: &ConversationName,
        new: &NewConversation,
        definition: Definition,
    ) -> Result<(Conversation, NamedOutcome), SchedulerError> {
        self.store.tell_time(&*self.clock).await?;
        let created = self.new_id(self.clock.now(), ConversationStore::name_partition(name));
        let (mut last, mut is_updated, mut admitted) = (StoreError::Conflict, false, None);
        for _ in 0..Self::MAX_TRIES {
            let (holder, read) = self.find_named(client, name).await?;
            let result = match read {
                Some(read) if definition.describes(&read.value) => {
                    // A commit with an unknown result may be the one that made it so.
                    let outcome = match read.value.id() == created {
                        true => NamedOutcome::Created,
                        false if is_updated => NamedOutcome::Updated,
                        false => NamedOutcome::Unchanged,
                    };
                    self.wake_next(&read.value).await;
                    return Ok((read.value, outcome));
                }
                Some(read) if !read.value.status().is_final() => {
                    let updated = self.update_named(read, new, definition).await?;
                    is_updated = matches!(updated, Err(StoreError::Unknown(_)));
                    updated.map(|conversation| (conversation, NamedOutcome::Updated))
                }
                _ => {
                    let named = Named { name: name.clone(), definition: Some(definition.fingerprint) };
                    let whole = WholeConversation::new(created, client.clone(), new.clone(), self.clock.now());
                    let whole = whole.named(named);
                    if admitted.is_none() {
                        admitted = Some(self.admit(None, &whole).await?);
                    }
                    let inserted = self.insert_named(whole, name, holder).await;
                    inserted.map(|conversation| (conversation, NamedOutcome::Created))
                }
            };
            match result {
                Ok((conversation, outcome)) => {
                    self.wake_next(&conversation).await;
                    return Ok((conversation, outcome));
                }
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    /// The conversation with this name, if it has this definition.
    ///
    /// # Errors
    /// [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn defined_before(
        &self,
        client: &ClientId,
        name: &ConversationName,
        definition: Definition,
    ) -> Result<Option<Conversation>, SchedulerError> {
        let (_, read) = self.find_named(client, name).await?;
        Ok(read.map(|read| read.value).filter(|conversation| definition.describes(conversation)))
    }

    /// The id of the conversation that has this name.
    ///
    /// # Errors
    /// [`SchedulerError::NotFound`], [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn named_id(&self, client: &ClientId, name: &ConversationName) -> Result<ConversationId, SchedulerError> {
        let holder = self.store.name_holder(client, name).await?;
        holder.map(|holder| holder.id).ok_or(SchedulerError::NotFound)
    }

    async fn find_named(
        &self,
        client: &ClientId,
        name: &ConversationName,
    ) -> Result<(Option<NameHolder>, Option<Versioned<Conversation>>), StoreError> {
        let holder = self.store.name_holder(client, name).await?;
        let read = match &holder {
            Some(holder) => self.store.get(client, holder.id).await?,
            None => None,
        };
        Ok((holder, read))
    }

    async fn insert_named(
        &self,
        new: WholeConversation,
        name: &ConversationName,
        before: Option<NameHolder>,
    ) -> Result<Conversation, StoreError> {
        self.store.insert_named(&new, name, before).await?;
        metrics::record(Metrics::scheduled);
        Ok(new.conversation)
    }

    /// Tries once to give a conversation that was read another definition.
    async fn update_named(
        &self,
        read: Versioned<Conversation>,
        new: &NewConversation,
        definition: Definition,
    ) -> Result<Result<Conversation, StoreError>, SchedulerError> {
        let payload = self.store.payload(&read).await?;
        let status = read.value.status();
        let update = Update {
            new: new.clone(),
            sets_time: true,
            sets_start: definition.sets_start,
            paused: new.recurrence.as_ref().and(definition.paused),
            definition: Some(definition.fingerprint),
        };
        let whole = WholeConversation { conversation: read.value, payload };
        let updated = whole.clone().update(update, self.clock.now());
        let next = updated.map_err(|reason| SchedulerError::UpdateRefused { status, reason })?;
        let _admitted = self.admit(Some(&whole), &next).await?;
        let replaced = self.store.replace_whole(read.revision, &next).await;
        Ok(replaced.map(|_| next.conversation))
    }
}

impl Definition {
    /// Whether a conversation has this definition, and is or was delivered by it.
    fn describes(self, conversation: &Conversation) -> bool {
        let has_definition = conversation.named().is_some_and(|named| named.definition == Some(self.fingerprint));
        let is_as_wanted =
            self.paused.is_none_or(|paused| paused == conversation.is_paused() || conversation.status().is_final());
        has_definition && is_as_wanted && conversation.status() != Status::Cancelled && !conversation.is_ending()
    }
}
