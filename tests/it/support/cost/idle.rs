//! What the service costs when there is nothing to do.

use std::time::Duration;

use super::account::{Account, START};
use super::counts::{Counts, Kind};
use super::host;
use super::service::{Role, Service};

/// What was counted in an hour without conversations.
pub struct Idle {
    /// The sweep of each minute.
    pub sweeps: Counts,
    /// The dead man's switch of each quarter of an hour.
    pub switches: Counts,
    /// The empty polls of one instance of the queue function that is up all the time.
    pub polls: u64,
}

impl Idle {
    pub fn measure() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let account = Account::new(1);
            let [queue, timer] = [Role::Queue, Role::Timer].map(|role| Service::new(&account, role));
            let _running = host::start(&account, &timer, &[queue]);
            account.sleep_until(START + Duration::from_secs(90)).await;
            account.take_counts();
            tokio::time::sleep(Duration::from_mins(1)).await;
            let minute = account.take_counts();
            tokio::time::sleep(Duration::from_mins(59)).await;
            let mut hour = account.take_counts();
            hour += minute;
            let mut sweeps = minute.times(60);
            sweeps.clear(Kind::Poll);
            let mut switches = hour - sweeps;
            switches.clear(Kind::Poll);
            assert_eq!((sweeps[Kind::Sweep], switches[Kind::Switch]), (60, 4));
            Self { sweeps, switches, polls: hour[Kind::Poll] }
        })
    }
}
