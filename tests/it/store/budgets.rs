//! The budgets of single clients: what is counted, when, and what a count reads.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use mcp_scheduler::delivery::NextDue;
use mcp_scheduler::domain::{
    Budget, BudgetPart, ClientId, ClientLimits, ConversationId, EndpointPolicy, NewConversation, Outcome, Overrun,
    ScheduledBy, Timestamp, Update, WrittenRecurrence,
};
use mcp_scheduler::scheduler::{LimitsOfClients, Scheduler, SchedulerError};
use mcp_scheduler::store::{ConversationStore, StoreError};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::{SystemEntropy, VirtualClock};
use tokio::time::advance;

use super::quota::{MINUTE, SCANS};
use crate::support::counting_table::CountingTable;
use crate::support::listing::{NOW, attempted, change, client, new_at};

const DAY: Duration = Duration::from_hours(24);

struct Always(ClientLimits);

impl LimitsOfClients for Always {
    fn of<'a>(&'a self, _: &'a ClientId) -> BoxFuture<'a, Result<ClientLimits, StoreError>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

struct Place {
    table: Arc<CountingTable>,
    store: ConversationStore,
    limits: ClientLimits,
}

impl Place {
    fn new(budget: Budget, thread_budget: Budget) -> Self {
        let table = Arc::new(CountingTable::new());
        let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
        Self { table, store, limits: ClientLimits { budget, thread_budget, ..ClientLimits::none() } }
    }

    /// A new process on the store.
    fn process(&self) -> Scheduler {
        let store = ConversationStore::new(Arc::clone(&self.table) as _, sealer());
        let (clock, entropy) = (Arc::new(VirtualClock::starting_at(NOW)), Arc::new(SystemEntropy::new()));
        let scheduler = Scheduler::new(store, Arc::new(NextDue::default()), EndpointPolicy::default(), clock, entropy);
        scheduler.with_limits(Arc::new(Always(self.limits.clone())))
    }
}

fn due(in_days: u32) -> NewConversation {
    new_at(NOW + DAY * in_days, "x".to_owned())
}

fn in_thread(thread: &str, new: NewConversation) -> NewConversation {
    NewConversation { thread_id: thread.parse().ok(), ..new }
}

fn recurring(cron: &str) -> NewConversation {
    let written = WrittenRecurrence { cron, ..WrittenRecurrence::default() };
    let (recurrence, _) = written.resolve(None, NOW).unwrap();
    NewConversation { recurrence: Some(recurrence), ..due(0) }
}

async fn scheduled(scheduler: &Scheduler, new: NewConversation) -> ConversationId {
    scheduler.schedule(&client(), new).await.unwrap().id()
}

#[track_caller]
fn refusal<T>(result: Result<T, SchedulerError>) -> Overrun {
    match result.err() {
        Some(SchedulerError::BudgetExceeded(exceeded)) => exceeded.overrun,
        other => panic!("{other:?}"),
    }
}

async fn end(store: &ConversationStore, id: ConversationId, outcome: Outcome, at: Timestamp) {
    change(store, id, |conversation| attempted(conversation, outcome, at)).await;
}

fn live(limit: u32) -> Budget {
    Budget { live_conversations: Some(limit), ..Budget::default() }
}

fn daily(limit: u32) -> Budget {
    Budget { deliveries_per_day: Some(limit), ..Budget::default() }
}

#[tokio::test(start_paused = true)]
async fn a_new_process_counts_before_its_first_request_and_then_no_more_below_the_limit() {
    let place = Place::new(live(4), Budget::default());
    let first = place.process();
    for _ in 0..3 {
        scheduled(&first, due(1)).await;
    }
    let second = place.process();
    place.table.take();
    scheduled(&second, due(1)).await;
    assert_eq!(place.table.take().scans, 3 * SCANS, "the live ones, the completed ones and the failed ones");
    assert_eq!(refusal(second.schedule(&client(), due(1)).await).used, 4);
    assert_eq!(place.table.take().scans, 0, "the count is fresh");
    let client = client();
    let others = join_all((0..20).map(|_| second.schedule(&client, due(1)))).await;
    assert!(others.iter().all(Result::is_err));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_budget_costs_no_count() {
    let place = Place::new(Budget::default(), Budget::default());
    scheduled(&place.process(), due(1)).await;
    assert_eq!(place.table.take().scans, 0);
}

#[tokio::test(start_paused = true)]
async fn room_that_others_make_is_seen_after_a_minute() {
    let place = Place::new(live(1), Budget::default());
    let scheduler = place.process();
    let id = scheduled(&scheduler, due(1)).await;
    refusal(scheduler.schedule(&client(), due(1)).await);
    scheduler.cancel(&client(), id).await.unwrap();
    refusal(scheduler.schedule(&client(), due(1)).await);
    advance(MINUTE).await;
    scheduled(&scheduler, due(1)).await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_count_on_the_day_on_which_they_are_due_or_have_ended() {
    let place = Place::new(daily(2), Budget::default());
    let first = place.process();
    let done = scheduled(&first, due(0)).await;
    let failed = scheduled(&first, due(0)).await;
    let refused = refusal(first.schedule(&client(), due(0)).await);
    let BudgetPart::Deliveries(Some(day)) = refused.of else { panic!("{refused:?}") };
    assert_eq!((day.to_string(), refused.used, refused.needed, refused.limit), ("2030-01-01".to_owned(), 2, 1, 2));
    end(&place.store, done, Outcome::Success, NOW + MINUTE).await;
    end(&place.store, failed, Outcome::PermanentFailure, NOW + MINUTE).await;
    // Another process counts them as what has ended today.
    refusal(place.process().schedule(&client(), due(0)).await);
    for _ in 0..2 {
        scheduled(&first, due(1)).await;
    }
    refusal(first.schedule(&client(), due(1)).await);
    // On the next day those of today are over.
    let next = place.process();
    advance(DAY).await;
    refusal(next.schedule(&client(), due(1)).await);
    scheduled(&next, due(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_recurrence_counts_with_its_deliveries_on_every_day_also_while_it_is_paused() {
    let place = Place::new(daily(25), Budget::default());
    let scheduler = place.process();
    let hourly = NewConversation { paused: true, ..recurring("0 * * * *") };
    assert_eq!(refusal(scheduler.schedule(&client(), recurring("*/30 * * * *")).await).needed, 48);
    scheduled(&scheduler, hourly.clone()).await;
    scheduled(&scheduler, due(5)).await;
    for process in [&scheduler, &place.process()] {
        assert_eq!(refusal(process.schedule(&client(), due(5)).await).used, 25);
        refusal(process.schedule(&client(), hourly.clone()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn each_thread_has_its_budget_also_in_another_process() {
    let recurrences = Budget { recurrences: Some(1), ..live(2) };
    let place = Place::new(Budget::default(), recurrences);
    let first = place.process();
    scheduled(&first, in_thread("a", due(1))).await;
    scheduled(&first, in_thread("a", recurring("0 9 * * *"))).await;
    scheduled(&first, in_thread("b", recurring("0 9 * * *"))).await;
    for process in [&first, &place.process()] {
        let refused = refusal(process.schedule(&client(), in_thread("a", due(1))).await);
        assert_eq!((refused.of, refused.used), (BudgetPart::LiveConversations, 2));
        let refused = refusal(process.schedule(&client(), in_thread("b", recurring("0 9 * * *"))).await);
        assert_eq!((refused.of, refused.used), (BudgetPart::Recurrences, 1));
        scheduled(process, due(1)).await;
    }
    scheduled(&first, in_thread("b", due(1))).await;
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_needs_room_like_a_new_conversation() {
    let place = Place::new(Budget::default(), daily(1));
    let scheduler = place.process();
    let failed = scheduled(&scheduler, in_thread("a", due(0))).await;
    end(&place.store, failed, Outcome::PermanentFailure, NOW + MINUTE).await;
    let refused = refusal(scheduler.redeliver(&client(), failed).await);
    assert_eq!((refused.used, refused.limit), (1, 1));
    refusal(scheduler.run(&client(), failed, None, ScheduledBy::default()).await);
    let more = Place { limits: ClientLimits { thread_budget: daily(2), ..place.limits }, ..place };
    let scheduler = more.process();
    scheduler.redeliver(&client(), failed).await.unwrap();
    refusal(scheduler.schedule(&client(), in_thread("a", due(0))).await);
    scheduler.redeliver(&client(), failed).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_needs_room_for_what_it_adds_alone() {
    let place = Place::new(daily(1), Budget::default());
    let scheduler = place.process();
    let id = scheduled(&scheduler, due(1)).await;
    scheduled(&scheduler, due(2)).await;
    let to = async |new: NewConversation| {
        let update = |_: &_, _| {
            Ok::<_, SchedulerError>(Update {
                new: new.clone(),
                sets_time: true,
                sets_start: true,
                paused: None,
                definition: None,
            })
        };
        scheduler.update(&client(), id, |_| true, update).await
    };
    refusal(to(due(2)).await);
    to(new_at(NOW + DAY, "another text".to_owned())).await.unwrap();
    to(due(3)).await.unwrap();
    refusal(to(recurring("0 9,10 * * *")).await);
}
