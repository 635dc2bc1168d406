//! The schemas of the tools, read by a validator that others wrote.

use crate::support::python::passes_on;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place};

#[test]
fn a_validator_accepts_and_refuses_what_the_service_does() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    passes_on("tests/clients/test_tool_schemas.py", &service, (CLIENT, KEY), 20);
}
