//! The receivers of the inboxes in a run.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::delivery::{InboxDelivery, ReceiveQuery};
use mcp_scheduler::domain::{ClientId, Received};

use super::fleet::Fleet;

const SECOND: Duration = Duration::from_secs(1);

/// Receives for one client again and again. While things fail, it may forget what it has received, take longer than its lease,
/// fail, or acknowledge twice.
pub async fn receiver(fleet: Arc<Fleet>, client: ClientId) {
    let world = Arc::clone(&fleet.world);
    let rng = world.rng();
    loop {
        tokio::time::sleep(rng.up_to(20 * SECOND)).await;
        if !world.checker(|checker| checker.has_inbox(&client)) {
            continue;
        }
        let lease = Duration::from_secs(rng.pick(&[10, 30, 60, 60]));
        let wait = Duration::from_secs(rng.pick(&[0, 0, 5, 20]));
        let query = ReceiveQuery { max: rng.pick(&[1, 1, 3]), lease, wait };
        let service = fleet.any_or_new().await;
        let Some(Ok(received)) = Box::pin(service.call(service.inbox.receive(&client, query))).await else { continue };
        for delivery in received {
            world.checker(|checker| checker.saw_received(world.now(), world.deciding(), &delivery));
            let is_lost = !world.faults().is_stopped() && rng.chance(250);
            if !is_lost {
                Box::pin(work(&fleet, &client, delivery, lease)).await;
            }
        }
    }
}

async fn work(fleet: &Fleet, client: &ClientId, delivery: InboxDelivery, lease: Duration) {
    let (world, rng) = (&fleet.world, fleet.world.rng());
    let is_quiet = world.faults().is_stopped();
    let longest = if rng.chance(100) && !is_quiet { 2 * lease } else { SECOND };
    tokio::time::sleep(rng.up_to(longest)).await;
    let received = if is_quiet || rng.chance(800) { Received::Done } else { Received::Failed };
    let id = delivery.whole.conversation.id();
    world.checker(|checker| checker.saw_worked(world.now(), &delivery, received));
    for _ in 0..rng.pick(&[1, 1, 2, 3]) {
        let service = fleet.any_or_new().await;
        let acknowledged = service.inbox.acknowledge(client, id, delivery.receipt, received);
        if let Some(Ok(())) = service.call(acknowledged).await {
            world.checker(|checker| checker.saw_acknowledged(world.now(), &delivery, received));
        }
    }
}
