//! The transitions of a conversation in an inbox.

use super::*;
use crate::domain::{
    Callbacks, DeliveryPolicy, DueTime, Format, Headers, Labels, NewConversation, Payload, ScheduledBy,
};
use crate::domain::{Expiry, Occurrence, Recurrence, Status, Update, UpdateRefused, WholeConversation};

const DUE: Timestamp = Timestamp::from_millis(1_893_456_000_000);
const LEASE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);
const TOKEN: LeaseToken = LeaseToken::new([1; 8]);
const OTHER: LeaseToken = LeaseToken::new([2; 8]);

/// A request for a conversation with two attempts that is due at [`DUE`].
fn new(expire_after: Option<Duration>, recurrence: Option<Recurrence>) -> NewConversation {
    let payload = Payload {
        text: "hello".into(),
        info: None,
        headers: Headers::default(),
        body: None,
        success_when: None,
        callbacks: Callbacks::default(),
    };
    NewConversation {
        due: DueTime::at(DUE),
        payload,
        format: Format::Json,
        destination: Destination::Inbox,
        policy: DeliveryPolicy { max_attempts: 2, timeout_seconds: 30 },
        labels: Labels::default(),
        thread_id: None,
        expire_after,
        recurrence,
        paused: false,
        by: ScheduledBy::default(),
    }
}

fn whole(new: NewConversation) -> WholeConversation {
    let created = DUE - Duration::from_hours(1);
    let id = crate::domain::ConversationId::new(created, &[0; 10]);
    WholeConversation::new(id, "ann".parse().unwrap(), new, created)
}

fn waiting(expire_after: Option<Duration>, recurrence: Option<Recurrence>) -> Conversation {
    whole(new(expire_after, recurrence)).conversation
}

fn endpoint() -> Destination {
    let endpoint = crate::domain::EndpointPolicy::default().check("https://example.com/").unwrap();
    Destination::Endpoint(crate::domain::Target { endpoint, method: crate::domain::Method::Post })
}

fn every_minute() -> Recurrence {
    Recurrence {
        cron: "* * * * *".parse().unwrap(),
        zone: "UTC".parse().unwrap(),
        period: None,
        end: None,
        max_occurrences: None,
        stop_on_failure: false,
    }
}

fn receive(conversation: Conversation, token: LeaseToken, now: Timestamp) -> ClaimedAttempt {
    match conversation.receive(token, now, LEASE) {
        Ok(Claim::Attempt(claimed)) => claimed,
        other => panic!("{other:?}"),
    }
}

fn acknowledge(conversation: &Conversation, receipt: Receipt, received: Received, now: Timestamp) -> Conversation {
    let claimed = conversation.clone().received(receipt, received).unwrap();
    let (started, result) = (claimed.attempt().started, claimed.acknowledged(received, now));
    claimed.complete(started, result, SECOND, now)
}

#[test]
fn nobody_receives_a_conversation_before_its_time_not_even_a_moment() {
    let early = DUE - Duration::from_millis(1);
    assert_eq!(waiting(None, None).receive(TOKEN, early, LEASE), Err(ClaimRefused::NotDue { until: DUE }));
    assert_eq!(receive(waiting(None, None), TOKEN, DUE).attempt().started, DUE);
}

#[test]
fn a_waiting_conversation_needs_no_worker_and_a_receiver_finds_it_at_its_time() {
    let conversation = waiting(None, None);
    assert_eq!((conversation.next_wake_at(), conversation.receivable_at()), (None, Some(DUE)));
    let leased = receive(conversation, TOKEN, DUE).conversation().clone();
    assert_eq!((leased.next_wake_at(), leased.receivable_at()), (None, Some(DUE + LEASE)));
    let last = receive(leased, OTHER, DUE + LEASE).conversation().clone();
    let end = Some(DUE + 2 * LEASE);
    assert_eq!((last.next_wake_at(), last.receivable_at()), (end, end), "after the last lease it fails");
}

#[test]
fn a_lease_keeps_others_away_until_it_ends_and_the_lost_attempt_is_on_record() {
    let leased = receive(waiting(None, None), TOKEN, DUE).conversation().clone();
    let until = DUE + LEASE;
    let during = leased.clone().receive(OTHER, until - Duration::from_millis(1), LEASE);
    assert_eq!(during, Err(ClaimRefused::Leased { until }));
    let again = receive(leased, OTHER, until);
    let lost = &again.conversation().attempts()[0].result;
    assert_eq!((lost.outcome, lost.error), (Outcome::Unknown, Some(ErrorClass::NotAcknowledged)));
    assert_eq!(again.attempt().number, 2);
}

#[test]
fn an_acknowledgement_completes_it_and_its_repetition_is_known() {
    let claimed = receive(waiting(None, None), TOKEN, DUE);
    let (leased, receipt) = (claimed.conversation().clone(), claimed.receipt());
    let done = acknowledge(&leased, receipt, Received::Done, DUE + SECOND);
    assert_eq!(done.status(), Status::Completed);
    assert_eq!(done.attempts()[0].result.duration_ms, 1000);
    assert_eq!(done.clone().received(receipt, Received::Done), Err(ReceiptRefused::Already));
    assert_eq!(done.received(receipt, Received::Failed), Err(ReceiptRefused::Over));
}

#[test]
fn a_receipt_is_valid_after_its_lease_until_somebody_else_has_the_conversation() {
    let first = receive(waiting(None, None), TOKEN, DUE);
    let (leased, receipt) = (first.conversation().clone(), first.receipt());
    assert!(leased.clone().received(receipt, Received::Done).is_ok());
    let second = receive(leased, OTHER, DUE + LEASE);
    assert_eq!(second.conversation().clone().received(receipt, Received::Done), Err(ReceiptRefused::Over));
    let done = acknowledge(second.conversation(), second.receipt(), Received::Done, DUE + LEASE);
    assert_eq!(done.received(receipt, Received::Done), Err(ReceiptRefused::Over), "the first attempt was lost");
}

#[test]
fn a_receiver_that_fails_gets_another_attempt_after_a_pause_and_none_after_the_last_one() {
    let first = receive(waiting(None, None), TOKEN, DUE);
    let (leased, receipt) = (first.conversation().clone(), first.receipt());
    let paused = acknowledge(&leased, receipt, Received::Failed, DUE);
    assert_eq!(paused.receivable_at(), Some(DUE + SECOND));
    assert_eq!(paused.clone().received(receipt, Received::Failed), Err(ReceiptRefused::Already));
    let second = receive(paused, OTHER, DUE + SECOND);
    let failed = acknowledge(second.conversation(), second.receipt(), Received::Failed, DUE + SECOND);
    assert_eq!(failed.state(), &State::Failed { reason: ErrorClass::ReceiverFailed.describe().to_owned() });
}

#[test]
fn a_conversation_can_be_updated_again_when_its_receiver_has_lost_it() {
    let WholeConversation { conversation, payload } = whole(new(None, None));
    let leased = receive(conversation, TOKEN, DUE).conversation().clone();
    let at = |now| {
        let new = NewConversation { destination: endpoint(), ..new(None, None) };
        let update = Update { new, sets_time: false, sets_start: false, paused: None, definition: None };
        WholeConversation { conversation: leased.clone(), payload: payload.clone() }.update(update, now)
    };
    let until = DUE + LEASE;
    assert_eq!(at(until - Duration::from_millis(1)), Err(UpdateRefused::Delivering { until }));
    let moved = at(until + SECOND).unwrap().conversation;
    assert_eq!((moved.destination(), moved.next_attempt_at()), (&endpoint(), Some(until)));
    let lost = moved.attempts().iter().map(|attempt| attempt.result.error).collect::<Vec<_>>();
    assert_eq!(lost, [Some(ErrorClass::NotAcknowledged)]);
}

#[test]
fn the_last_lease_ends_a_conversation_and_no_update_revives_it() {
    let first = receive(waiting(None, None), TOKEN, DUE).conversation().clone();
    let last = receive(first, OTHER, DUE + LEASE).conversation().clone();
    let WholeConversation { payload, .. } = whole(new(None, None));
    let new = NewConversation { destination: endpoint(), ..new(None, None) };
    let update = Update { new, sets_time: false, sets_start: false, paused: None, definition: None };
    let refused = WholeConversation { conversation: last, payload }.update(update, DUE + 3 * LEASE);
    assert_eq!(refused, Err(UpdateRefused::Delivering { until: DUE + 2 * LEASE }));
}

#[test]
fn the_repetition_of_a_failure_is_known_also_if_no_attempt_could_follow_in_time() {
    let claimed = receive(waiting(Some(10 * SECOND), Some(every_minute())), TOKEN, DUE);
    let (leased, receipt) = (claimed.conversation().clone(), claimed.receipt());
    let (late, pause) = (DUE + 8 * SECOND, 5 * SECOND);
    let claimed = leased.received(receipt, Received::Failed).unwrap();
    let (started, result) = (claimed.attempt().started, claimed.acknowledged(Received::Failed, late));
    let next = claimed.complete(started, result, pause, late);
    assert_eq!(next.series().unwrap().history[0].failure.as_deref(), Some(Expiry::REASON));
    assert_eq!(next.clone().received(receipt, Received::Failed), Err(ReceiptRefused::Already));
    assert_eq!(next.received(receipt, Received::Done), Err(ReceiptRefused::Over));
}

#[test]
fn a_conversation_fails_when_the_last_lease_ends() {
    let first = receive(waiting(None, None), TOKEN, DUE).conversation().clone();
    assert_eq!(first.lapsed(DUE + 100 * LEASE), None, "another attempt is left");
    let last = receive(first, OTHER, DUE + LEASE).conversation().clone();
    assert_eq!(last.lapsed(DUE + 2 * LEASE - Duration::from_millis(1)), None);
    let failed = last.lapsed(DUE + 2 * LEASE).unwrap();
    assert_eq!(failed.state(), &State::Failed { reason: ErrorClass::NotAcknowledged.describe().to_owned() });
    assert_eq!(failed.attempts().len(), 2);
}

#[test]
fn a_conversation_expires_in_the_inbox_but_not_while_it_is_leased() {
    let after = 30 * SECOND;
    let (conversation, end) = (waiting(Some(after), None), DUE + after + Duration::from_millis(1));
    assert_eq!(conversation.next_wake_at(), Some(end));
    assert_eq!(conversation.lapsed(DUE + after), None, "an attempt may still begin");
    let expired = State::Failed { reason: Expiry::REASON.to_owned() };
    assert_eq!(conversation.lapsed(end).unwrap().state(), &expired);
    let leased = receive(conversation, TOKEN, DUE + after).conversation().clone();
    let until = DUE + after + LEASE;
    assert_eq!((leased.next_wake_at(), leased.lapsed(end)), (Some(until), None));
    let lapsed = leased.lapsed(until).unwrap();
    assert_eq!((lapsed.state(), lapsed.attempts().len()), (&expired, 1));
}

#[test]
fn an_acknowledged_occurrence_is_followed_by_the_next_and_its_receipt_stays_known() {
    let claimed = receive(waiting(None, Some(every_minute())), TOKEN, DUE);
    let (leased, receipt) = (claimed.conversation().clone(), claimed.receipt());
    let next = acknowledge(&leased, receipt, Received::Done, DUE + SECOND);
    assert_eq!((next.status(), next.receivable_at()), (Status::Scheduled, Some(DUE + 60 * SECOND)));
    assert_eq!(next.clone().received(receipt, Received::Done), Err(ReceiptRefused::Already));
    let second = receive(next, OTHER, DUE + 60 * SECOND);
    assert_ne!(second.receipt(), receipt);
    assert_eq!(second.conversation().clone().received(receipt, Received::Done), Err(ReceiptRefused::Already));
}

#[test]
fn missed_occurrences_are_received_as_one_and_expire_only_if_the_latest_one_is_late() {
    let series = waiting(Some(150 * SECOND), Some(every_minute()));
    let late = DUE + 200 * SECOND;
    let current = series.lapsed(late).unwrap();
    assert_eq!((current.status(), current.due()), (Status::Scheduled, DUE + 180 * SECOND));
    let claimed = receive(current, TOKEN, late);
    assert_eq!(claimed.conversation().series().unwrap().missed, 3);
    let brief = waiting(Some(SECOND), Some(every_minute()));
    let next = brief.lapsed(DUE + 10 * SECOND).unwrap();
    let failed: Vec<_> =
        next.series().unwrap().history.iter().map(|Occurrence { failure, .. }| failure.clone()).collect();
    assert_eq!((failed, next.due()), (vec![Some("expired".to_owned())], DUE + 60 * SECOND));
}

#[test]
fn a_paused_series_waits_for_its_client_and_a_cancelled_one_ends_with_its_lease() {
    let series = waiting(None, Some(every_minute()));
    let paused = series.clone().pause(DUE).unwrap();
    assert_eq!((paused.receivable_at(), paused.next_wake_at()), (None, None));
    let claimed = receive(series, TOKEN, DUE);
    let ending = claimed.conversation().clone().cancel_after_attempt(DUE).unwrap();
    assert_eq!(ending.next_wake_at(), Some(DUE + LEASE));
    assert_eq!(ending.lapsed(DUE + LEASE).unwrap().status(), Status::Cancelled);
    let done = acknowledge(&ending, claimed.receipt(), Received::Done, DUE);
    assert_eq!(done.status(), Status::Cancelled);
}

#[test]
fn a_lease_that_a_clock_wrote_which_was_ahead_ends_now_and_a_long_one_does_not() {
    let ahead = DUE + Duration::from_hours(24);
    let leased = receive(waiting(None, None), TOKEN, ahead).conversation().clone();
    assert_eq!(leased.receivable_at(), Some(ahead + LEASE));
    let mended = leased.lapsed(DUE).unwrap();
    assert_eq!((mended.receivable_at(), mended.attempts().len()), (Some(DUE), 1));
    let Ok(Claim::Attempt(long)) = waiting(None, None).receive(TOKEN, DUE, Conversation::MAX_INBOX_LEASE) else {
        panic!("it is due")
    };
    assert!(!long.conversation().is_ahead_of(DUE));
}

#[test]
fn the_end_of_a_process_does_not_end_the_lease_of_a_receiver() {
    let leased = receive(waiting(None, None), TOKEN, DUE).conversation().clone();
    assert_eq!(leased.release(DUE), Err(super::super::NotDelivering));
}

#[test]
fn a_conversation_for_an_endpoint_cannot_be_acknowledged() {
    let claimed = receive(waiting(None, None), TOKEN, DUE);
    let receipt = claimed.receipt();
    let sent = Conversation { destination: endpoint(), ..claimed.conversation().clone() };
    assert_eq!(sent.received(receipt, Received::Done), Err(ReceiptRefused::Over));
}

#[test]
fn a_receipt_is_read_as_it_was_written_and_nothing_else_is_one() {
    let receipt = Receipt { occurrence: 3, attempt: 12, token: LeaseToken::new([255; 8]) };
    assert_eq!(receipt.to_string().parse(), Ok(receipt));
    for wrong in ["", "3", "3-12", "3-12-1f", "3-12-1fffffffffffff-", "+3-12-1fffffffffffff", "3-12-1FFFFFFFFFFFFF"] {
        assert_eq!(wrong.parse::<Receipt>(), Err(InvalidReceipt), "{wrong}");
    }
}
