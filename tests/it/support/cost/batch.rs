//! The commits of a batch.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::time::Clock as _;

use super::account::Account;
use super::counts::Kind;
use super::load::{A_DAY, schedule};
use super::service::{Role, Service};

/// A call schedules this many conversations in a batch.
pub const SIZE: u32 = 100;

/// The transactions that schedule a batch, on average.
#[allow(clippy::cast_precision_loss)] // the counts are small
pub fn commits() -> f64 {
    const BATCHES: u32 = 100;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let counts = runtime.block_on(async {
        let account = Account::new(1);
        let http = Service::new(&account, Role::Http);
        let due = account.clock.now() + A_DAY;
        // The process learns the time of the storage.
        schedule(&http, 0, due).await;
        account.take_counts();
        for _ in 0..BATCHES {
            join_all((0..SIZE as usize).map(|number| schedule(&http, number, due))).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        account.take_counts()
    });
    counts[Kind::ScheduleCommit] as f64 / f64::from(BATCHES)
}
