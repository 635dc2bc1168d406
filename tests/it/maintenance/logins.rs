//! The grants of logins are removed when they are 90 days old.

use std::sync::Arc;

use mcp_scheduler::domain::{EndpointHost, Grant, GrantId};
use mcp_scheduler::maintenance::{SweepReason, remove_expired_logins};
use mcp_scheduler::store::{KeyRange, LoginStore, Partition, StoreError, Table as _};
use mcp_scheduler::testing::SimulatedTable;
use tokio_util::sync::CancellationToken;

use super::{HOUR, MINUTE};
use crate::support::delivery_harness::{DeliveryHarness, NOON};

const LOGINS: Partition = Partition::new("logins");

fn id(number: u8) -> GrantId {
    GrantId::new([number; 16])
}

async fn left(table: &SimulatedTable) -> usize {
    table.scan(LOGINS, &KeyRange::prefix(""), 1000).await.unwrap().len()
}

/// A table with the grants of logins at noon and an hour later.
async fn grants(first: u8, later: u8) -> (Arc<SimulatedTable>, LoginStore) {
    let table = Arc::new(SimulatedTable::new(()));
    let logins = LoginStore::new(Arc::clone(&table) as _);
    for number in 0..first + later {
        let login = if number < first { NOON } else { NOON + HOUR };
        logins.insert(id(number), Grant::begun(login), login + Grant::MAX_AGE).await.unwrap();
    }
    (table, logins)
}

#[tokio::test(start_paused = true)]
async fn a_grant_is_removed_90_days_after_its_login_with_its_expiry_row() {
    let harness = DeliveryHarness::new();
    let (table, logins) = grants(120, 1).await;
    let (_, etag) = logins.read(id(0)).await.unwrap().unwrap();
    logins.replace(id(0), Grant::Revoked, etag).await.unwrap();
    tokio::time::sleep(Grant::MAX_AGE.saturating_sub(MINUTE)).await;
    remove_expired_logins(&logins, &*harness.clock).await;
    assert_eq!(left(&table).await, 242);
    tokio::time::sleep(MINUTE).await;
    remove_expired_logins(&logins, &*harness.clock).await;
    assert_eq!(left(&table).await, 2);
    assert_eq!(logins.read(id(0)).await.unwrap(), None);
    assert!(logins.read(id(120)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_another_process_has_removed_holds_no_other_back() {
    let harness = DeliveryHarness::new();
    let (table, logins) = grants(3, 0).await;
    let page = table.scan(LOGINS, &KeyRange::prefix("grant~"), 1).await.unwrap();
    let delete = mcp_scheduler::store::Operation::Delete { key: page[0].key.clone(), if_match: None };
    table.commit(LOGINS, vec![delete]).await.unwrap();
    tokio::time::sleep(Grant::MAX_AGE).await;
    remove_expired_logins(&logins, &*harness.clock).await;
    assert_eq!(left(&table).await, 1, "the others are gone");
}

#[tokio::test(start_paused = true)]
async fn sweeps_and_the_follower_remove_them() {
    let harness = DeliveryHarness::new();
    let ((swept, first), (followed, second)) = (grants(1, 0).await, grants(1, 0).await);
    tokio::time::sleep(Grant::MAX_AGE).await;
    harness.sweeper().removing_from(first).sweep(SweepReason::Timer).await.unwrap();
    assert_eq!(left(&swept).await, 0);
    let stop = CancellationToken::new();
    let follower = harness.follower().removing_from(second, harness.clock.clone());
    let follower = tokio::spawn(follower.run(stop.clone()));
    tokio::time::sleep(2 * MINUTE).await;
    stop.cancel();
    follower.await.unwrap();
    assert_eq!(left(&followed).await, 0);
}

#[tokio::test]
async fn an_id_has_one_grant_also_after_it_is_revoked() {
    let (_, logins) = grants(1, 0).await;
    let (grant, etag) = logins.read(id(0)).await.unwrap().unwrap();
    assert_eq!(grant, Grant::begun(NOON));
    logins.replace(id(0), Grant::Revoked, etag.clone()).await.unwrap();
    let again = logins.insert(id(0), Grant::begun(NOON), NOON + Grant::MAX_AGE).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let stale = logins.replace(id(0), Grant::begun(NOON), etag).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_host_is_removed_when_its_time_is_over() {
    let harness = DeliveryHarness::new();
    let (table, logins) = grants(0, 0).await;
    let (client, host) = (&harness.client, "a_b.example".parse::<EndpointHost>().unwrap());
    for _ in 0..2 {
        logins.confirm_host(client, &host, NOON + HOUR).await.unwrap();
    }
    assert_eq!(left(&table).await, 2, "it is kept once, with its expiry row");
    tokio::time::sleep(HOUR.saturating_sub(MINUTE)).await;
    remove_expired_logins(&logins, &*harness.clock).await;
    assert_eq!(logins.confirmed_until(client, &host).await.unwrap(), Some(NOON + HOUR));
    tokio::time::sleep(MINUTE).await;
    remove_expired_logins(&logins, &*harness.clock).await;
    assert_eq!(left(&table).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_has_a_limited_number_of_confirmed_hosts() {
    let harness = DeliveryHarness::new();
    let (table, logins) = grants(0, 0).await;
    let other = "another".parse().unwrap();
    let host = |number: u32| format!("h{number}.example").parse::<EndpointHost>().unwrap();
    for number in 0..=200 {
        logins.confirm_host(&harness.client, &host(number), NOON + HOUR).await.unwrap();
    }
    assert_eq!(left(&table).await, 2 * 200);
    assert_eq!(logins.confirmed_until(&harness.client, &host(200)).await.unwrap(), None);
    logins.confirm_host(&other, &host(200), NOON + HOUR).await.unwrap();
    assert!(logins.confirmed_until(&other, &host(200)).await.unwrap().is_some());
}
