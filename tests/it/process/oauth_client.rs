//! A generic OAuth library logs in.

use crate::support::python::pytest;
use crate::support::service::{CLIENT, CONFIGURED, Place};

/// The library sends keys by HTTP Basic as they are, and in forms encoded: both have to arrive.
const ODD_KEY: &str = "odd+key/with=:&?#chars";

#[test]
fn authlib_finds_its_way_and_gets_in() {
    let place = Place::new();
    let [client, _, signing_keys, secrets] = CONFIGURED;
    let service = place.start(&[client, ("SCHEDULER_API_KEY", ODD_KEY), signing_keys, secrets]);
    pytest("tests/clients/test_oauth.py", &service, (CLIENT, ODD_KEY), 6);
}
