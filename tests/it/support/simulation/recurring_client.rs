//! The clients whose conversations recur.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::{RecurrenceRequest, RetryRequest, ScheduleRequest};
use mcp_scheduler::domain::{
    ClientId, ConversationId, DueTime, NewConversation, ScheduledBy, Timestamp, Update, WholeConversation,
};
use mcp_scheduler::scheduler::{Cancelled, SchedulerError};

use super::client::{Instants, news, submit};
use super::fault_plan::Profile;
use super::fleet::Fleet;
use super::service::Service;

const MINUTE: Duration = Duration::from_mins(1);

/// How long after the time of an occurrence a client calls, in milliseconds. Most attempts take less than a second.
const AFTER: &[u64] = &[0, 200, 400, 500, 600, 700, 800, 900, 1_000, 3_000, 20_000, 58_000, 59_000];

/// Schedules a conversation that recurs, and may pause, resume, cancel or redeliver it, most likely around the times of
/// its occurrences.
pub async fn recurring_client(fleet: Arc<Fleet>, instants: Arc<Instants>, number: u64) {
    let world = Arc::clone(&fleet.world);
    let rng = world.rng();
    let (due, lead) = instants.choose(&world);
    tokio::time::sleep(world.now().until(due - lead)).await;
    let minutes = rng.pick(&[1, 1, 2, 5]);
    let Some((client, id)) = schedule(&fleet, number, due, minutes).await else { return };
    for _ in 0..rng.below(5) {
        let every = i64::from(minutes) * 60_000;
        let next = world.now().max(due).as_millis() / every + rng.pick(&[1, 1, 2]);
        let around = Timestamp::from_millis(next * every) + Duration::from_millis(rng.pick(AFTER));
        tokio::time::sleep(world.now().until(around - rng.up_to(Duration::from_millis(400)))).await;
        if world.faults().profile == Profile::Silence && world.elapsed() > 8 * MINUTE {
            return;
        }
        let service = fleet.any_or_new().await;
        match rng.below(8) {
            0..3 => steer(&service, &client, id, true).await,
            3..5 => steer(&service, &client, id, false).await,
            5..7 => cancel(&fleet, &service, &client, id).await,
            _ => {
                if let Some(Ok(_)) = service.call(service.scheduler.redeliver(&client, id)).await {
                    world.checker(|checker| checker.saw_redelivered(world.now(), id));
                }
            }
        }
    }
}

async fn schedule(fleet: &Fleet, number: u64, due: Timestamp, minutes: u32) -> Option<(ClientId, ConversationId)> {
    let (world, rng) = (&fleet.world, fleet.world.rng());
    let service = fleet.any_or_new().await;
    let due = due.max(world.deciding());
    let name = format!("series-{number}");
    let text = format!("series {number}.") + &"x".repeat(rng.pick(&[0, 0, 5_000]));
    let news = rng.chance(300).then(|| news(&name));
    let is_for_inbox = rng.chance(250);
    let ends = rng.chance(300).then(|| due + rng.up_to(12 * MINUTE) + MINUTE);
    let recurrence = RecurrenceRequest {
        cron: Some(if minutes == 1 { "* * * * *".to_owned() } else { format!("*/{minutes} * * * *") }),
        end_time: ends.map(|end| (end + 5 * MINUTE).to_string()),
        max_occurrences: Some(rng.pick(&[1, 2, 3, 5])).filter(|_| ends.is_none()),
        stop_on_failure: Some(rng.chance(300)),
        ..RecurrenceRequest::default()
    };
    let request = ScheduleRequest {
        conversation_text: Some(text.clone()),
        scheduled_time: Some(due.to_string()),
        recurrence: Some(recurrence),
        endpoint: (!is_for_inbox).then(|| format!("https://{name}.example.com/hook")),
        deliver: is_for_inbox.then(|| "inbox".to_owned()),
        retry: Some(RetryRequest { max_attempts: Some(rng.pick(&[1, 2, 3, 4, 4])) }),
        timeout_seconds: (!is_for_inbox).then(|| rng.pick(&[1, 10, 60])),
        expire_after: rng.pick(&[None, None, None, Some("1s"), Some("1m")]).map(str::to_owned),
        labels: news.as_ref().map(|_| vec![super::callbacks::label()]),
        on_failed: news.clone(),
        on_completed: news,
        ..ScheduleRequest::default()
    };
    let new = request.validate(world.deciding(), service.scheduler.endpoint_policy()).unwrap();
    let client: ClientId = rng.pick(&["ann", "bob"]).parse().unwrap();
    submit(fleet, &service, client, new, text).await
}

/// Pauses or resumes the series.
async fn steer(service: &Service, client: &ClientId, id: ConversationId, paused: bool) {
    let update = |whole: &WholeConversation, _| Ok::<_, SchedulerError>(unchanged(whole, paused));
    Box::pin(service.call(service.scheduler.update(client, id, |_| true, update))).await;
}

/// The update of a conversation that changes nothing but its course.
fn unchanged(whole: &WholeConversation, paused: bool) -> Update {
    let WholeConversation { conversation, payload } = whole.clone();
    let new = NewConversation {
        due: DueTime::at(conversation.due()),
        payload,
        format: conversation.format(),
        destination: conversation.destination().clone(),
        policy: conversation.policy(),
        labels: conversation.labels().clone(),
        thread_id: conversation.thread_id().cloned(),
        expire_after: conversation.expiry().map(|expiry| expiry.after),
        recurrence: conversation.series().map(|series| series.recurrence.clone()),
        paused,
        by: ScheduledBy::default(),
    };
    Update { new, sets_time: false, sets_start: false, paused: Some(paused), definition: None }
}

async fn cancel(fleet: &Fleet, service: &Service, client: &ClientId, id: ConversationId) {
    let world = &fleet.world;
    if let Some(Ok(cancelled)) = service.call(service.scheduler.cancel(client, id)).await {
        world.checker(|checker| {
            checker.tally.cancels_in_flight += u64::from(cancelled == Cancelled::AfterAttempt);
            checker.saw_cancelled(world.now(), id);
        });
    }
}
