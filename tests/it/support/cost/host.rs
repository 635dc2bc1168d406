//! A stand-in for the Functions host on Flex Consumption: it scales the queue function and the timer separately, so each
//! has a process of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mcp_scheduler::delivery::WakeUp;
use mcp_scheduler::store::{ReceivedWakeUp, WakeUpReceiver as _};
use mcp_scheduler::time::Clock as _;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::account::{Account, START};
use super::counts::Kind;
use super::service::Service;

const MINUTE: Duration = Duration::from_mins(1);

/// What `host.json` says about the queue.
struct Queues {
    batch: u32,
    /// The host receives more messages when no more than this are being handled.
    threshold: u32,
}

impl Queues {
    fn read() -> Self {
        let host: Value = serde_json::from_str(include_str!("../../../../host.json")).unwrap();
        let number = |name| host["extensions"]["queues"][name].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap();
        assert_eq!(host["extensions"]["queues"]["maxPollingInterval"], "00:00:01", "LONGEST_PAUSE");
        Self { batch: number("batchSize"), threshold: number("newBatchThreshold") }
    }
}

/// The pauses of the host while the queue is empty: they double from the shortest to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Starts the timer, and the queue function on each of its instances. They end with the set.
pub fn start(account: &Arc<Account>, timer: &Arc<Service>, queues: &[Arc<Service>]) -> JoinSet<()> {
    let mut running = JoinSet::new();
    running.spawn(keep_time(Arc::clone(account), Arc::clone(timer)));
    for queue in queues {
        running.spawn(dispatch(Arc::clone(account), Arc::clone(queue)));
    }
    running
}

/// Sweeps at the beginning of each minute.
async fn keep_time(account: Arc<Account>, service: Arc<Service>) {
    loop {
        let minutes = u32::try_from(START.until(account.clock.now()).as_secs() / 60).unwrap();
        account.sleep_until(START + MINUTE * (minutes + 1)).await;
        account.count(Kind::Sweep);
        service.meter.run(service.handler.sweep()).await.unwrap();
    }
}

/// Hands the messages to the process of the queue function.
async fn dispatch(account: Arc<Account>, service: Arc<Service>) {
    let Queues { batch, threshold } = Queues::read();
    let (room, mut pause) = (Arc::new(Semaphore::new((batch + threshold) as usize)), SHORTEST_PAUSE);
    loop {
        drop(room.acquire_many(batch).await.unwrap());
        account.travel().await;
        let received = account.queue.receive(batch as usize).now_or_never().transpose().unwrap().unwrap_or_default();
        account.travel().await;
        if received.is_empty() {
            account.count(Kind::Poll);
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            continue;
        }
        pause = SHORTEST_PAUSE;
        for message in received {
            let permit = Arc::clone(&room).acquire_owned().await.unwrap();
            let (account, service) = (Arc::clone(&account), Arc::clone(&service));
            tokio::spawn(async move {
                handle(&account, &service, message).await;
                drop(permit);
            });
        }
    }
}

async fn handle(account: &Account, service: &Service, message: ReceivedWakeUp) {
    account.count(Kind::Get);
    account.count(if matches!(message.wake_up, WakeUp::Switch(_)) { Kind::Switch } else { Kind::Invocation });
    service.meter.run(service.handler.handle(&message.wake_up)).await.unwrap();
    account.count(Kind::Delete);
    account.queue.delete(&message).await.unwrap();
}
