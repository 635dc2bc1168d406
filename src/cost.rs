//! An estimate of what conversations cost on Azure in a month. docs/cost.md says how the figures were counted.

const MILLION: f64 = 1_000_000.0;

/// Dollars for an operation on a queue: a general-purpose v2 account, locally redundant.
pub const QUEUE_OPERATION: f64 = 0.40 / MILLION;
/// Dollars for a transaction on a table. An entity group transaction is one.
pub const TABLE_TRANSACTION: f64 = 0.036 / MILLION;
/// Dollars for an execution of a function on Flex Consumption.
pub const EXECUTION: f64 = 0.40 / MILLION;
/// Dollars for a GB-second of an instance on Flex Consumption.
pub const GB_SECOND: f64 = 0.000_026;
/// The memory of an instance, in GB.
pub const INSTANCE: f64 = 0.5;
/// The seconds of a month of 30 days.
pub const MONTH: f64 = 30.0 * 24.0 * 3600.0;

/// What one conversation needs at a rate.
struct Counted {
    per_second: f64,
    messages: f64,
    transactions: f64,
}

/// Conversations that were scheduled a minute ahead, by the table "Operations for 1,000 conversations" of docs/cost.md. The
/// first line is that of a conversation that has its second for itself.
const COUNTED: [Counted; 5] = [
    Counted { per_second: 0.01, messages: 1.0, transactions: 5.0 },
    Counted { per_second: 1.0, messages: 0.652, transactions: 4.885 },
    Counted { per_second: 10.0, messages: 0.128, transactions: 4.521 },
    Counted { per_second: 100.0, messages: 0.03, transactions: 3.682 },
    Counted { per_second: 1000.0, messages: 0.017, transactions: 2.079 },
];

/// The sweep of each minute and the dead man's switch, by the table "A month with nothing to do" of docs/cost.md.
const IDLE: Usage =
    Usage { executions: 46_080.0, queue_operations: 52_560.0, transactions: 2_909_520.0, instance_seconds: 46_080.0 };

/// The seconds of an instance that the platform bills for an execution at least.
const LEAST_SECONDS: f64 = 1.0;
/// The deliveries that one instance makes at one time.
const DELIVERIES_AT_ONCE: f64 = 256.0;

/// The conversations of a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Their number. They are scheduled one by one, and due at independent times.
    pub per_month: u32,
    /// The seconds that their endpoints take to respond, on average.
    pub response_seconds: f64,
}

/// What the platform bills.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Executions of functions.
    pub executions: f64,
    /// Operations on queues.
    pub queue_operations: f64,
    /// Transactions on tables.
    pub transactions: f64,
    /// Seconds in which an instance runs a function.
    pub instance_seconds: f64,
}

impl Load {
    /// The conversations of a second, on average.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        f64::from(self.per_month) / MONTH
    }

    /// What these conversations use, and what the service uses when it has nothing to do.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (number, rate) = (f64::from(self.per_month), self.per_second());
        let (messages, transactions) = counted_at(rate);
        let calls = busy_seconds(rate, LEAST_SECONDS);
        let deliveries = busy_seconds(rate, self.response_seconds.max(LEAST_SECONDS))
            .max(MONTH * rate * self.response_seconds / DELIVERIES_AT_ONCE);
        Usage {
            executions: IDLE.executions + number * (1.0 + messages),
            // A put, a get and a delete.
            queue_operations: IDLE.queue_operations + number * 3.0 * messages,
            transactions: IDLE.transactions + number * transactions,
            instance_seconds: IDLE.instance_seconds + calls + deliveries,
        }
    }
}

impl Usage {
    /// The dollars for the executions, the queue, the tables and the instances, at list prices and without free grants.
    #[must_use]
    pub fn dollars(&self) -> [f64; 4] {
        [
            self.executions * EXECUTION,
            self.queue_operations * QUEUE_OPERATION,
            self.transactions * TABLE_TRANSACTION,
            self.instance_seconds * INSTANCE * GB_SECOND,
        ]
    }
}

/// The messages and the transactions of one conversation at a rate: on a line between the counted rates, by their
/// logarithms.
#[must_use]
pub fn counted_at(per_second: f64) -> (f64, f64) {
    let mut below: Option<&Counted> = None;
    for above in &COUNTED {
        if per_second <= above.per_second {
            let Some(below) = below else { return (above.messages, above.transactions) };
            let part = (per_second / below.per_second).ln() / (above.per_second / below.per_second).ln();
            let between = |from: f64, to: f64| part.mul_add(to - from, from);
            return (between(below.messages, above.messages), between(below.transactions, above.transactions));
        }
        below = Some(above);
    }
    below.map_or((0.0, 0.0), |last| (last.messages, last.transactions))
}

/// The seconds of a month in which at least one of the executions runs that come at independent times and take this long.
fn busy_seconds(per_second: f64, seconds: f64) -> f64 {
    MONTH * -(-per_second * seconds).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(per_month: u32, response_seconds: f64) -> Load {
        Load { per_month, response_seconds }
    }

    fn all_in(load: Load) -> f64 {
        load.usage().dollars().iter().sum()
    }

    #[test]
    fn an_idle_month_costs_the_sweeps_and_the_switch() {
        assert_eq!(load(0, 1.0).usage(), IDLE);
        assert!((all_in(load(0, 1.0)) - 0.74).abs() < 0.01);
    }

    #[test]
    fn a_counted_rate_has_its_counts() {
        for Counted { per_second, messages, transactions } in COUNTED {
            let counts = counted_at(per_second);
            assert!((counts.0 - messages).abs() < 1e-9 && (counts.1 - transactions).abs() < 1e-9, "{per_second}");
        }
    }

    #[test]
    fn rates_outside_the_table_have_the_counts_of_its_ends() {
        let [first, .., last] = &COUNTED;
        assert_eq!(counted_at(0.000_1), (first.messages, first.transactions));
        assert_eq!(counted_at(50_000.0), (last.messages, last.transactions));
    }

    #[test]
    fn conversations_that_come_alone_are_billed_a_second_for_the_call_and_the_whole_wait_for_the_endpoint() {
        let usage = load(1000, 20.0).usage();
        let seconds = usage.instance_seconds - IDLE.instance_seconds;
        assert!((seconds / 21_000.0 - 1.0).abs() < 0.01, "{seconds}");
    }

    #[test]
    fn conversations_that_come_together_share_the_instances() {
        let rate_of_100 = load(259_200_000, 0.1);
        let seconds = rate_of_100.usage().instance_seconds - IDLE.instance_seconds;
        assert!((seconds / (2.0 * MONTH) - 1.0).abs() < 0.001, "two instances that are busy all the time: {seconds}");
    }

    #[test]
    fn slow_endpoints_need_more_instances() {
        // 100 per second for 25.6 s are 2,560 deliveries at one time: ten instances, and one for the calls.
        let seconds = load(259_200_000, 25.6).usage().instance_seconds - IDLE.instance_seconds;
        assert!((seconds / (11.0 * MONTH) - 1.0).abs() < 0.001, "{seconds}");
    }

    #[test]
    fn a_million_at_100_per_second_costs_what_the_page_says() {
        let of_a_million = (all_in(load(259_200_000, 0.1)) - all_in(load(0, 0.1))) / 259.2;
        assert!((of_a_million - 0.841).abs() < 0.005, "{of_a_million}");
    }
}
