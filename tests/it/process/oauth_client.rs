//! Authlib, a generic OAuth library, logs in.

use crate::support::python::passes_on;
use crate::support::service::{CLIENT, CONFIGURED, Place};

/// Authlib does not encode keys in HTTP Basic, but encodes them in forms. The service must accept both.
const ODD_KEY: &str = "odd+key/with=:&?#chars";

#[test]
fn authlib_finds_the_token_endpoint_and_logs_in() {
    let place = Place::new();
    let [client, _, signing_keys, secrets, encryption_keys] = CONFIGURED;
    let service = place.start(&[client, ("SCHEDULER_API_KEY", ODD_KEY), signing_keys, secrets, encryption_keys]);
    passes_on("tests/clients/test_oauth.py", &service, (CLIENT, ODD_KEY), 6);
}
