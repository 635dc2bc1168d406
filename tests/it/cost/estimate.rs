//! The estimate of `mcp-scheduler cost` is made from what was counted.

use mcp_scheduler::cost;

use crate::support::cost::counts::Kind;
use crate::support::cost::idle::Idle;
use crate::support::cost::load::{A_MINUTE, Measured};
use crate::support::cost::money::MONTH;

/// The estimate has the counts of conversations that were scheduled a minute ahead.
pub fn check(measured: &Measured) {
    let load = measured.load;
    if load.ahead != A_MINUTE {
        return;
    }
    #[allow(clippy::cast_precision_loss)] // a thousand
    let (messages, transactions) = cost::counted_at(load.per_second as f64);
    for (estimated, kinds) in [(messages, &[Kind::Invocation][..]), (transactions, Kind::TABLES)] {
        let counted = measured.per_conversation(kinds);
        assert!((estimated - counted).abs() < 0.001, "{load:?}: {estimated}, but {counted} were counted");
    }
}

/// The estimate of a month without conversations has the sweeps and the switch.
#[allow(clippy::cast_precision_loss)] // the counts are small
pub fn check_idle(idle: &Idle) {
    let hours = MONTH / 3600.0;
    let sum = |kinds: &[Kind]| hours * (idle.sweeps.sum(kinds) + idle.switches.sum(kinds)) as f64;
    let estimated = cost::Load { per_month: 0, response_seconds: 0.1 }.usage();
    let counted = [
        (estimated.transactions, sum(Kind::TABLES)),
        (estimated.queue_operations, sum(Kind::QUEUE) + sum(&[Kind::Length])),
        (estimated.executions, sum(&[Kind::Sweep, Kind::Switch])),
        (estimated.instance_seconds, sum(&[Kind::TimerMillisecond, Kind::QueueMillisecond]) / 1000.0),
    ];
    for (estimated, counted) in counted {
        assert!((estimated - counted).abs() < 0.5, "{estimated}, but {counted} were counted");
    }
}
