//! The real binary on a machine whose clock is set while it runs, or was wrong before it was started.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use tokio::time::Instant;

use crate::support::installed::installed;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// A machine with a clock that the test sets.
struct Machine {
    place: Place,
    ahead: PathBuf,
}

impl Machine {
    fn new(ahead: Duration) -> Self {
        let place = Place::new();
        let machine = Self { ahead: place.tmp().join("ahead"), place };
        machine.set(ahead);
        machine
    }

    /// Sets the clock to this much ahead of the right time.
    fn set(&self, ahead: Duration) {
        // The library reads the file at every look at the clock, so the file must be complete at each moment.
        let new = self.ahead.with_extension("new");
        fs::write(&new, format!("+{}\n", ahead.as_secs())).unwrap();
        fs::rename(&new, &self.ahead).unwrap();
    }

    fn start(&self) -> Service {
        let library = installed("target/faketime/libfaketime.so.1");
        let settings = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", self.ahead.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        self.place.start(&CONFIGURED.into_iter().chain(settings).collect::<Vec<_>>())
    }
}

async fn schedule(api: &Api, due: Timestamp, receiver: &Receiver) -> String {
    api.try_schedule(due, &receiver.url("/inbox")).await.expect("not accepted")
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_clock_that_was_an_hour_fast_goes_on_after_the_next_start() {
    // At most eight exchanges go to one host at a time.
    const EACH: usize = 4;
    let machine = Machine::new(HOUR);
    let mut service = machine.start();
    let api = Api::login(service.url(), CLIENT, KEY).await;
    // The attempts at the one are cut off, and those at the other fail and wait for the next one.
    let slow = Receiver::start((0..EACH).map(|_| Reply::status(200).after(HOUR)).chain([Reply::status(200)])).await;
    let broken = Receiver::start((0..EACH).map(|_| Reply::status(500)).chain([Reply::status(200)])).await;
    let mut all = Vec::new();
    for _ in 0..EACH {
        for receiver in [&slow, &broken] {
            all.push(schedule(&api, SystemClock.now() + HOUR, receiver).await);
        }
    }
    slow.wait_for(EACH).await;
    broken.wait_for(EACH).await;
    for id in all.iter().skip(1).step_by(2) {
        while api.status(id).await["attempts"][0]["outcome"] != "failure" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    service.kill();
    machine.set(Duration::ZERO);
    let service = machine.start();
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let deadline = Instant::now() + 15 * SECOND;
    for id in &all {
        api.completed(id, deadline.saturating_duration_since(Instant::now())).await;
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_starts_no_second_attempt_and_wakes_what_is_due_within_two_seconds() {
    let machine = Machine::new(Duration::ZERO);
    let service = machine.start();
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let slow = Receiver::start([Reply::status(200).after(4 * SECOND)]).await;
    let later = Receiver::accepting().await;
    let in_flight = schedule(&api, SystemClock.now(), &slow).await;
    schedule(&api, SystemClock.now() + 3 * SECOND + HOUR / 2, &later).await;
    slow.wait_for(1).await;
    assert!(later.received().is_empty());
    machine.set(HOUR);
    let is_there = later.wait_until(2 * SECOND, |received| !received.is_empty()).await;
    assert!(is_there, "due half an hour ago by the clock");
    let record = api.completed(&in_flight, 10 * SECOND).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(slow.received().len(), 1);
    service.stop();
}
