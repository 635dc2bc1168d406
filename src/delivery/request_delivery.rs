//! One attempt to send a request to the endpoint of a conversation.

use std::time::Duration;

use tracing::Span;

use super::Deliverer;
use super::classify::classify_checked;
use super::client_limiter::ClientPermit;
use super::deliver::{CommittedClaim, Outgoing, Prepared, Sent};
use super::host_limiter::HostPermit;
use super::not_ready::NotReady;
use super::request::{Signing, attempt_request};
use super::retry_schedule::Busy;
use crate::domain::{Callbacks, Conversation, Endpoint, Payload, Target, Timestamp};
use crate::outbound::{Exchange, Route, RouteError};
use crate::store::Versioned;

/// Everything that a request needs besides the conversation.
pub(super) struct Parts {
    target: Target,
    payload: Payload,
    route: Route,
    host_permit: HostPermit,
    signing: Signing,
}

impl Deliverer {
    /// Waits until the conversation can be claimed, with everything that its request needs at hand.
    pub(super) async fn prepare_request(
        &self,
        read: &Versioned<Conversation>,
        target: &Target,
        client_permit: &ClientPermit,
    ) -> Result<Prepared, NotReady> {
        let conversation = &read.value;
        log_endpoint(&target.endpoint);
        let look_up = async {
            let _permit = client_permit.look_up().await;
            self.sender.route(target.endpoint.as_str()).await
        };
        let signatures = self.signatures.signatures(conversation.client());
        let (payload, route, signatures) =
            tokio::join!(self.recorder.payload(conversation, &read.revision), look_up, signatures);
        let payload = payload?;
        let mut signing = Signing::new(self.signer.keys(conversation.client()), signatures);
        let early = conversation.next_wake_at().map_or(Duration::ZERO, |due| self.recorder.clock.now().until(due));
        // A delivery that is late may wait for other permits, and be sent in another second.
        if let Ok(payload) = &payload
            && !early.is_zero()
        {
            signing = signing.ahead(conversation, target, payload, self.signing_clock.now() + early);
        }
        self.wait_until_claimable(conversation).await;
        match (payload, route) {
            (Err(class), _) => Ok(Prepared { callbacks: Callbacks::default(), outgoing: Err(class) }),
            (Ok(Payload { callbacks, .. }), Err(RouteError::Failed(class))) => {
                Ok(Prepared { callbacks, outgoing: Err(class) })
            }
            (_, Err(RouteError::NotTried)) => Err(Busy { retry_in: Self::LOOK_UP_AGAIN }.into()),
            (Ok(mut payload), Ok(route)) => {
                let host_permit = self.host_limiter.take(conversation.client(), route.host()).await?;
                let callbacks = std::mem::take(&mut payload.callbacks);
                let parts = Parts { target: target.clone(), payload, route, host_permit, signing };
                Ok(Prepared { callbacks, outgoing: Ok(Outgoing::Request(Box::new(parts))) })
            }
        }
    }

    pub(super) async fn send_request(&self, claim: &CommittedClaim, parts: Parts, sent_at: Timestamp) -> Sent {
        let (conversation, attempt) = (claim.claimed.conversation(), claim.claimed.attempt());
        let Parts { target, mut payload, route, host_permit, signing } = parts;
        let times = (sent_at, self.signing_clock.now());
        let request = attempt_request(conversation, &target, &payload, attempt, times, signing);
        let success_when = payload.success_when.take();
        // The request has a copy of the text, and the exchange may take a minute.
        drop(payload);
        let exchange = match request {
            Ok(request) => host_permit.run(self.sender.send(request, route)).await,
            Err(class) => Exchange::not_sent(class),
        };
        let retry_after = exchange.retry_after().map(str::to_owned);
        Sent { result: classify_checked(exchange, success_when.as_ref()), retry_after }
    }
}

/// Adds the endpoint to the log lines of the delivery. What follows the host may be a secret.
fn log_endpoint(endpoint: &Endpoint) {
    let host = endpoint.origin().split_once("://").map_or("", |(_, host)| host);
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) if !port.ends_with(']') => (address, port.parse::<u16>().ok()),
        _ => (host, None),
    };
    Span::current().record("server.address", address).record("server.port", port);
}
