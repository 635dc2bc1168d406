//! The exchanges with the endpoints.

use mcp_scheduler::domain::{Conversation, ConversationId, Signatures, Timestamp};
use mcp_scheduler::outbound::OutboundRequest;

use super::{InvariantChecker, Profile, Sending};
use crate::support::app::client_keys;
use crate::support::simulation::occurrences::Delivery;
use crate::support::simulation::verdict::Sent;

impl InvariantChecker {
    /// An attempt of a process begins, whose clock has been set so often.
    pub fn saw_begin(
        &mut self,
        at: Timestamp,
        deciding: Timestamp,
        process: u64,
        clock_set: u64,
        request: &OutboundRequest,
    ) -> Sending {
        let header = |name: &str| {
            let found = request.headers.iter().find(|(n, _)| n == name);
            found.map(|(_, v)| v.expose().clone()).unwrap_or_default()
        };
        let webhook_id = header("webhook-id");
        let id: ConversationId = webhook_id.split('_').next().unwrap().parse().unwrap();
        let attempt: u32 = header("scheduler-attempt").parse().unwrap();
        self.note(at, &format!("{id} attempt {attempt} begins"));
        self.tally.sent += 1;
        let conversation = self.now[&id].clone();
        let delivery = (id, header("scheduler-occurrence").parse().ok());
        self.check_told(at, &conversation, delivery, header("scheduler-missed-occurrences").parse().ok());
        // A clock that is set back after the first attempt or the expiry does not make the conversation wait again.
        let was_due = self.profile == Profile::OneProcess && (attempt > 1 || conversation.generation() > 1);
        if !was_due && deciding + self.clock_error < conversation.due() {
            self.violated(at, &format!("I2 {id} begins before {}", conversation.due()));
        }
        if self.cancelled.contains_key(&id) && self.last_attempts.get(&id) != Some(&(delivery, attempt)) {
            self.violated(at, &format!("I3 {id} begins after its cancel was acknowledged"));
        }
        if conversation.in_flight().map(|a| a.number) != Some(attempt) {
            self.violated(at, &format!("I5 {id} begins attempt {attempt}, the row says {:?}", conversation.state()));
        }
        let of_delivery = attempt - conversation.attempts_before_redelivery();
        if of_delivery > conversation.policy().max_attempts {
            self.violated(at, &format!("I12 {id} begins attempt {attempt}"));
        }
        // No pause comes before a redelivery.
        let paused = |number| number > conversation.attempts_before_redelivery();
        let before = self.sent.range((id, None)..=(id, Some(u32::MAX)));
        let before = before.flat_map(|(of, sent)| sent.iter().map(move |sent| (*of == delivery, sent)));
        let wrong: Vec<_> = before
            .filter_map(|(is_same, sent)| {
                // The end and the beginning were timed by clocks that may be wrong.
                let by_now = at + 2 * self.clock_error;
                let may_pause = sent.clock_set == clock_set && paused(sent.attempt);
                sent.forbids(at, by_now, is_same.then_some(attempt), may_pause)
            })
            .collect();
        for what in wrong {
            self.violated(at, &format!("{what}: {id} {:?} attempt {attempt}", delivery.1));
        }
        let owner = *self.webhook_ids.entry(webhook_id.clone()).or_insert(delivery);
        let sent = self.sent.entry(delivery).or_default();
        let body = request.body.as_ref().map(|b| b.to_vec());
        let same =
            owner == delivery && sent.first().is_none_or(|first| first.webhook_id == webhook_id && first.body == body);
        sent.push(Sent {
            attempt,
            process,
            clock_set,
            of_delivery,
            began: at,
            ended: None,
            taken: false,
            timeout: request.timeout,
            webhook_id,
            body,
        });
        let index = sent.len() - 1;
        let has_text =
            |text: &String| String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).contains(text);
        if !self.texts.get(&id).is_none_or(has_text) {
            self.violated(at, &format!("I13 {id} attempt {attempt} lacks the text"));
        }
        let signed_at = Timestamp::from_millis(header("webhook-timestamp").parse::<i64>().unwrap() * 1000);
        let content = request.body.as_deref().unwrap_or_default();
        let signature =
            client_keys(conversation.client().as_str()).sign(Signatures::V1, &header("webhook-id"), signed_at, content);
        if !header("webhook-signature").starts_with(&signature) {
            self.violated(at, &format!("I11 {id} attempt {attempt} is signed for something else"));
        }
        if !same {
            self.violated(at, &format!("I11 {id} attempt {attempt} is not the request of attempt 1"));
        }
        Sending { delivery, index }
    }

    pub fn saw_end(&mut self, at: Timestamp, sending: &Sending, taken: bool) {
        let Sending { delivery, index } = sending;
        self.note(at, &format!("{} exchange {index} ends, taken: {taken}", delivery.0));
        let sent = self.sent.get_mut(delivery).unwrap();
        if taken && sent.iter().any(|s| s.taken) {
            self.tally.duplicates += 1;
        }
        sent[*index].ended.get_or_insert(at);
        sent[*index].taken = taken;
    }

    /// Checks S4.
    fn check_told(&mut self, at: Timestamp, of: &Conversation, (id, number): Delivery, missed: Option<u32>) {
        let wanted = of.series().map(|series| (series.number, series.missed));
        if number.zip(missed) != wanted {
            self.violated(
                at,
                &format!("S4 {id} sends occurrence {number:?} after {missed:?}, the row says {wanted:?}"),
            );
        }
    }
}
