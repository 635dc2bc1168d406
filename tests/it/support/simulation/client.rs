//! The clients of a run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::api::{CallbackRequest, RetryRequest, ScheduleRequest};
use mcp_scheduler::domain::{ClientId, ConversationId, IdempotentRequest, NewConversation, Sha256, Timestamp};
use mcp_scheduler::scheduler::SchedulerError;
use mcp_scheduler::store::StoreError;
use mcp_scheduler::time::Entropy as _;

use super::callbacks;
use super::fault_plan::Profile;
use super::fleet::Fleet;
use super::service::Service;
use super::world::{START, World};

const MINUTE: Duration = Duration::from_mins(1);

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long before the due time a client calls: around each time at which the service decides otherwise.
const LEADS: &[u64] = &[
    0, 0, 200, 800, 1_500, 2_000, 2_500, 3_200, 5_000, 5_900, 7_000, 20_000, 60_000, 100_000, 125_000, 170_000,
    178_000, 182_000, 200_000, 236_000, 239_500, 241_000, 260_000, 400_000, 800_000,
];
/// How long before the due time a client cancels, plus three seconds.
const CANCELS: &[u64] =
    &[0, 2_900, 3_100, 3_300, 4_000, 4_800, 5_500, 7_000, 8_500, 33_000, 153_000, 203_000, 241_000, 303_000];

/// The seconds at which the conversations of a run are due, so that some of them share one.
pub struct Instants(Vec<Timestamp>);

impl Instants {
    pub fn of(world: &World) -> Self {
        let rng = world.rng();
        let (first, last) = match world.faults().profile {
            Profile::Silence => (10 * MINUTE, 65 * MINUTE),
            _ => (Duration::from_secs(20), 15 * MINUTE),
        };
        let count = 1 + rng.below(3);
        let instant = |_| {
            let at = (START + first + rng.up_to(last.saturating_sub(first))).as_millis();
            Timestamp::from_millis(at - at % 1000)
        };
        Self((0..count).map(instant).collect())
    }

    /// One of the seconds, and how long before it the client calls.
    pub fn choose(&self, world: &World) -> (Timestamp, Duration) {
        let rng = world.rng();
        let instant = self.0[usize::try_from(rng.below(self.0.len() as u64)).unwrap()];
        let within = millis(rng.pick(&[0, 0, 250, 999])) + rng.up_to(millis(rng.pick(&[0, 900])));
        (instant + within, millis(rng.pick(LEADS)) + rng.up_to(millis(rng.pick(&[0, 10, 1000]))))
    }
}

/// Schedules one conversation, and may cancel it (most likely around its due time) or redeliver it.
pub async fn client(fleet: Arc<Fleet>, instants: Arc<Instants>, number: u64) {
    const DAY: Duration = Duration::from_hours(24);
    let world = Arc::clone(&fleet.world);
    let rng = world.rng();
    let (mut due, lead) = instants.choose(&world);
    tokio::time::sleep(world.now().until(due - lead)).await;
    if rng.chance(50) {
        due = world.now() + rng.pick(&[3 * DAY, 8 * DAY]) + rng.up_to(MINUTE);
    }
    let Some((client, id)) = schedule(&fleet, &number.to_string(), due).await else { return };
    for _ in 0..rng.pick(&[0, 0, 1, 2]) {
        let at = due + Duration::from_secs(3) - millis(rng.pick(CANCELS)) - rng.up_to(millis(rng.pick(&[300, 30_000])));
        tokio::time::sleep(world.now().until(at).min(15 * MINUTE)).await;
        let service = fleet.any_or_new().await;
        if let Some(Ok(_)) = service.call(service.scheduler.cancel(&client, id)).await {
            world.checker(|checker| checker.saw_cancelled(world.now(), id));
        }
    }
    for _ in 0..rng.below(4) {
        tokio::time::sleep(world.now().until(due).min(10 * MINUTE) + rng.up_to(4 * MINUTE)).await;
        if world.faults().profile == Profile::Silence && world.elapsed() > 8 * MINUTE {
            return;
        }
        let service = fleet.any_or_new().await;
        if let Some(Ok(_)) = service.call(service.scheduler.redeliver(&client, id)).await {
            world.checker(|checker| checker.saw_redelivered(world.now(), id));
        }
    }
}

/// Schedules more conversations at one instant than one run delivers.
pub async fn crowd(fleet: Arc<Fleet>, instants: Arc<Instants>) {
    let world = Arc::clone(&fleet.world);
    let (due, lead) = instants.choose(&world);
    tokio::time::sleep(world.now().until(due - lead)).await;
    let count = 70 + world.rng().below(80);
    let schedules = (0..count).map(|number| {
        let fleet = Arc::clone(&fleet);
        async move { schedule(&fleet, &format!("{number} of a crowd"), due).await }
    });
    join_all(schedules).await;
}

/// Calls now and then, for nothing.
pub async fn visitor(fleet: Arc<Fleet>) {
    let none = ConversationId::new(START, &[0; 10]);
    loop {
        tokio::time::sleep(fleet.world.rng().up_to(MINUTE)).await;
        let service = fleet.any_or_new().await;
        let client: ClientId = "ann".parse().unwrap();
        service.call(service.scheduler.get(&client, none)).await;
    }
}

async fn schedule(fleet: &Fleet, number: &str, due: Timestamp) -> Option<(ClientId, ConversationId)> {
    let (world, rng) = (&fleet.world, fleet.world.rng());
    let service = fleet.any_or_new().await;
    let due = due.max(world.deciding());
    let client: ClientId = rng.pick(&["ann", "bob"]).parse().unwrap();
    let news = rng.chance(300).then(|| news(&number.replace(' ', "-")));
    // Texts above 4 KiB have a row of their own.
    let text = format!("conversation {number}.") + &"x".repeat(rng.pick(&[0, 0, 5_000, 20_000]));
    let is_for_inbox = rng.chance(250);
    let request = ScheduleRequest {
        conversation_text: Some(text.clone()),
        scheduled_time: Some(due.to_string()),
        // Each has a host of its own, because the limits of a host are tested elsewhere.
        endpoint: (!is_for_inbox).then(|| format!("https://{}.example.com/hook", number.replace(' ', "-"))),
        deliver: is_for_inbox.then(|| "inbox".to_owned()),
        retry: Some(RetryRequest { max_attempts: Some(rng.pick(&[1, 2, 3, 4, 8])) }),
        timeout_seconds: (!is_for_inbox).then(|| rng.pick(&[1, 10, 30, 60])),
        expire_after: rng.pick(&[None, None, None, Some("1s"), Some("1m"), Some("10m")]).map(str::to_owned),
        labels: news.as_ref().map(|_| vec![callbacks::label()]),
        on_failed: news.clone(),
        on_completed: news,
        ..ScheduleRequest::default()
    };
    let new = request.validate(world.deciding(), service.scheduler.endpoint_policy()).unwrap();
    submit(fleet, &service, client, new, text).await
}

/// An endpoint that is told how a delivery ended.
pub fn news(name: &str) -> CallbackRequest {
    CallbackRequest { endpoint: Some(format!("https://{name}.news.example.com/")), headers: None }
}

/// Sends a request to a process, with an idempotency key or without one.
pub async fn submit(
    fleet: &Fleet,
    service: &Service,
    client: ClientId,
    new: NewConversation,
    text: String,
) -> Option<(ClientId, ConversationId)> {
    let world = &fleet.world;
    if world.rng().chance(400) {
        return schedule_with_key(fleet, client, new, text).await;
    }
    match service.call(service.scheduler.schedule(&client, new)).await {
        Some(Ok(conversation)) => {
            let id = conversation.id();
            world.checker(|checker| checker.saw_accepted(world.now(), id, text));
            Some((client, id))
        }
        None | Some(Err(SchedulerError::Unavailable(StoreError::Unknown(_)))) => None,
        Some(Err(_)) => {
            world.checker(|checker| checker.saw_rejected(world.now(), text));
            None
        }
    }
}

/// Repeats a request with an idempotency key until it has an answer, or the client gives up.
async fn schedule_with_key(
    fleet: &Fleet,
    client: ClientId,
    new: NewConversation,
    text: String,
) -> Option<(ClientId, ConversationId)> {
    let (world, rng) = (&fleet.world, fleet.world.rng());
    let mut hash = [0; 32];
    rng.fill(&mut hash);
    let request = IdempotentRequest { key: Sha256::new(hash), fingerprint: Sha256::new([0; 32]) };
    world.keyed.lock().unwrap().push(text.clone());
    for _ in 0..8 {
        let service = fleet.any_or_new().await;
        if let Some(Ok(conversation)) =
            service.call(service.scheduler.schedule_once(&client, new.clone(), &request)).await
        {
            let id = conversation.id();
            world.checker(|checker| checker.saw_accepted(world.now(), id, text));
            return Some((client, id));
        }
        tokio::time::sleep(rng.up_to(Duration::from_secs(rng.pick(&[1, 20, 100])))).await;
    }
    None
}
