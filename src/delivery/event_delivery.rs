//! One attempt to send an event to the subscriptions of a client.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use tokio::time::Instant;

use super::client_limiter::ClientPermit;
use super::deliver::{Outgoing, Prepared, Sent};
use super::event::{Message, event_body, event_id, message_id};
use super::host_limiter::{HostLimiter, HostPermit};
use super::not_ready::NotReady;
use super::retry_schedule::Busy;
use super::{Deliverer, classify};
use crate::domain::{
    AttemptResult, Callbacks, ClientId, Conversation, ErrorClass, EventsText, Outcome, Settled, Subscriber,
    SubscriptionId,
};
use crate::outbound::{Exchange, Route, RouteError};
use crate::store::{StoreError, StoredSubscription, Versioned};

/// Everything that an attempt needs to send an event.
pub(super) struct EventParts {
    id: String,
    body: Bytes,
    text: EventsText,
    hosts: Vec<(HostPermit, Vec<Recipient>)>,
    /// The subscriptions to which nothing can be sent now, with the reasons.
    unsent: Vec<(SubscriptionId, ErrorClass)>,
    /// What was settled before this attempt.
    settled: Vec<Settled>,
}

/// A subscription that gets the event.
struct Recipient {
    id: SubscriptionId,
    subscriber: Subscriber,
    route: Route,
}

impl Deliverer {
    /// Waits until the conversation can be claimed, with its subscriptions and the permits for their hosts at hand.
    pub(super) async fn prepare_event(
        &self,
        read: &Versioned<Conversation>,
        client_permit: &ClientPermit,
    ) -> Result<Prepared, NotReady> {
        let conversation = &read.value;
        let (payload, found) = tokio::join!(
            self.recorder.payload(conversation, &read.revision),
            self.look_up(conversation, client_permit)
        );
        let (payload, found) = (payload?, found?);
        self.wait_until_claimable(conversation).await;
        let mut payload = match payload {
            Ok(payload) => payload,
            Err(class) => return Ok(Prepared { callbacks: Callbacks::default(), outgoing: Err(class) }),
        };
        let (mut recipients, mut unsent) = (BTreeMap::<SocketAddr, Vec<_>>::new(), Vec::new());
        for (id, subscriber, route) in found {
            match route {
                Ok(route) => recipients.entry(route.host()).or_default().push(Recipient { id, subscriber, route }),
                Err(RouteError::Failed(class)) => unsent.push((id, class)),
                Err(RouteError::NotTried) => return Err(Busy { retry_in: Self::LOOK_UP_AGAIN }.into()),
            }
        }
        let (hosts, busy) = self.host_permits(conversation.client(), recipients).await?;
        unsent.extend(busy.into_iter().map(|id| (id, ErrorClass::SubscriberBusy)));
        let (id, text) = (event_id(conversation), self.recorder.subscribers.as_ref().map(|all| all.text));
        let parts = EventParts {
            body: event_body(conversation, &payload, &id),
            id,
            text: text.unwrap_or_default(),
            hosts,
            unsent,
            settled: conversation.settled().collect(),
        };
        let callbacks = std::mem::take(&mut payload.callbacks);
        Ok(Prepared { callbacks, outgoing: Ok(Outgoing::Event(parts)) })
    }

    /// The subscriptions that want the event and have not settled it, with the ways to their receivers.
    async fn look_up(
        &self,
        conversation: &Conversation,
        client_permit: &ClientPermit,
    ) -> Result<Vec<(SubscriptionId, Subscriber, Result<Route, RouteError>)>, StoreError> {
        let Some(all) = &self.recorder.subscribers else { return Ok(Vec::new()) };
        let settled: HashSet<_> = conversation.settled().map(|settled| settled.subscription).collect();
        let mut wanting = all.wanting(conversation.event(), conversation).await?;
        wanting.retain(|stored| !settled.contains(&stored.subscription.id));
        let look_up = |stored: StoredSubscription| async move {
            let subscriber = match all.store.open(&stored) {
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "a subscription is lost");
                    return Ok(None);
                }
                opened => opened?,
            };
            let _permit = client_permit.look_up().await;
            let route = self.sender.route(subscriber.endpoint.as_str()).await;
            Ok(Some((stored.subscription.id, subscriber, route)))
        };
        let found = join_all(wanting.into_iter().map(look_up)).await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    /// Takes one permit for each host. A host that is busy is left out, unless all are.
    async fn host_permits(
        &self,
        client: &ClientId,
        recipients: BTreeMap<SocketAddr, Vec<Recipient>>,
    ) -> Result<(Vec<(HostPermit, Vec<Recipient>)>, Vec<SubscriptionId>), Busy> {
        let take = |(host, of_host)| async move { (self.host_limiter.take(client, host).await, of_host) };
        let (mut hosts, mut left_out, mut is_busy) = (Vec::new(), Vec::new(), None);
        for (taken, of_host) in join_all(recipients.into_iter().map(take)).await {
            match taken {
                Ok(permit) => hosts.push((permit, of_host)),
                Err(busy) => {
                    is_busy = Some(busy);
                    left_out.extend(of_host.into_iter().map(|recipient| recipient.id));
                }
            }
        }
        match is_busy {
            Some(busy) if hosts.is_empty() => Err(busy),
            _ => Ok((hosts, left_out)),
        }
    }

    /// Sends the event to all its subscriptions, within the time limit of an attempt.
    pub(super) async fn send_event(&self, conversation: &Conversation, event: EventParts) -> Sent {
        let EventParts { id, body, text, hosts, unsent, settled } = event;
        let deadline = Instant::now() + conversation.policy().timeout();
        let send = |recipient: Recipient| {
            let (id, body) = (&id, body.clone());
            async move {
                let timeout = deadline.saturating_duration_since(Instant::now());
                if timeout.is_zero() {
                    return (recipient.id, Exchange::not_sent(ErrorClass::TotalTimeout));
                }
                let message_id = message_id(text, id, recipient.id);
                let signed_at = self.signing_clock.now();
                let (id, subscription) = (&*message_id, recipient.id);
                let message = Message { id, subscription, body, signed_at, timeout, keep_response: false };
                let request = message.to(&recipient.subscriber);
                (recipient.id, self.sender.send(request, recipient.route).await)
            }
        };
        let send_to_host = |(permit, of_host): (HostPermit, Vec<Recipient>)| {
            let exchanges = stream::iter(of_host).map(send).buffer_unordered(HostLimiter::PER_HOST);
            permit.run(exchanges.collect::<Vec<_>>())
        };
        let mut exchanges = join_all(hosts.into_iter().map(send_to_host)).await.concat();
        exchanges.extend(unsent.into_iter().map(|(id, class)| (id, Exchange::not_sent(class))));
        let retry_after = exchanges.iter().find_map(|(_, exchange)| exchange.retry_after()).map(str::to_owned);
        let results: Vec<_> = exchanges.into_iter().map(|(id, exchange)| (id, classify(exchange))).collect();
        Sent { result: merge(&results, &settled), retry_after }
    }
}

/// The result of an attempt, from those of its subscriptions and what was settled before. A failure after which another
/// attempt follows comes first, because nobody is left out.
fn merge(results: &[(SubscriptionId, AttemptResult)], before: &[Settled]) -> AttemptResult {
    let settle = |(subscription, result): &(SubscriptionId, AttemptResult)| {
        let took = match result.outcome {
            Outcome::Success => true,
            Outcome::PermanentFailure => false,
            Outcome::Failure | Outcome::Unknown => return None,
        };
        Some(Settled { subscription: *subscription, took })
    };
    let settled = results.iter().filter_map(settle).collect();
    let duration_ms = results.iter().map(|(_, result)| result.duration_ms).max().unwrap_or_default();
    let of = |outcome| results.iter().map(|(_, result)| result).find(|result| result.outcome == outcome).cloned();
    let without = |outcome, error| AttemptResult { outcome, error, ..AttemptResult::unknown(0) };
    let was_refused = before.iter().any(|settled| !settled.took);
    let result =
        of(Outcome::Failure).or_else(|| of(Outcome::PermanentFailure)).unwrap_or_else(|| match of(Outcome::Success) {
            _ if was_refused => without(Outcome::PermanentFailure, Some(ErrorClass::SubscriberRefused)),
            Some(success) => success,
            None if before.is_empty() => without(Outcome::Failure, Some(ErrorClass::NoSubscription)),
            None => without(Outcome::Success, None),
        });
    AttemptResult { duration_ms, settled, ..result }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: u16 = 410;

    fn id(number: u8) -> SubscriptionId {
        SubscriptionId::of(&[number])
    }

    fn settled(number: u8, took: bool) -> Settled {
        Settled { subscription: id(number), took }
    }

    /// The result of an attempt whose subscribers answered with these statuses.
    fn merged(statuses: &[u16], before: &[Settled]) -> AttemptResult {
        let result = |(number, status): (u8, &u16)| {
            let response = crate::outbound::EndpointResponse {
                status: *status,
                retry_after: None,
                excerpt: String::new(),
                body: None,
            };
            (id(number), classify(Exchange { duration_ms: status.to_owned().into(), result: Ok(response) }))
        };
        merge(&(1..).zip(statuses).map(result).collect::<Vec<_>>(), before)
    }

    #[test]
    fn an_attempt_succeeds_when_everybody_took_the_event_and_goes_on_while_somebody_may_still_take_it() {
        use Outcome::*;
        for (statuses, before, outcome) in [
            (&[200][..], &[][..], Success),
            (&[200, 204], &[], Success),
            (&[200, 503], &[], Failure),
            (&[REFUSED, 503], &[], Failure),
            (&[200, REFUSED], &[], PermanentFailure),
            (&[200], &[settled(9, true)], Success),
            (&[200], &[settled(9, false)], PermanentFailure),
            (&[503], &[settled(9, false)], Failure),
            (&[], &[settled(9, true)], Success),
            (&[], &[settled(9, false)], PermanentFailure),
            (&[], &[], Failure),
        ] {
            assert_eq!(merged(statuses, before).outcome, outcome, "{statuses:?} after {before:?}");
        }
        assert_eq!(merged(&[], &[]).error, Some(ErrorClass::NoSubscription));
    }

    #[test]
    fn only_those_who_took_or_refused_the_event_have_settled_it() {
        let result = merged(&[200, 503, REFUSED], &[]);
        assert_eq!(result.settled, [settled(1, true), settled(3, false)]);
        assert_eq!((result.http_status, result.duration_ms), (Some(503), 503));
    }
}
