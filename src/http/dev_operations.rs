//! What `mcp-scheduler dev` serves beside the operations of the service. It is no part of the API.

use std::future::ready;

use http::Method;

use super::handlers::dev::{self, PAGE, SCRIPT, STYLE};
use super::operation::{Access, Operation, client, undocumented};
use crate::domain::Scope;

/// The largest delivery: the longest text, of which each byte is written as an escape of six bytes, and all else.
const MAX_DELIVERY: usize = 2 * 1024 * 1024;

/// The page, the clock and the inbox. The page needs no token, because it shows nothing without one, and a delivery needs
/// none, because its signature is verified.
#[must_use]
pub fn dev_operations() -> Vec<Operation> {
    use Access::Anyone;
    let page = [
        undocumented("devPage", Method::GET, "/dev", Anyone(|context| Box::pin(ready(Ok(PAGE.serve(&context)))))),
        undocumented(
            "devScript",
            Method::GET,
            "/dev/page.js",
            Anyone(|context| Box::pin(ready(Ok(SCRIPT.serve(&context))))),
        ),
        undocumented(
            "devStyle",
            Method::GET,
            "/dev/page.css",
            Anyone(|context| Box::pin(ready(Ok(STYLE.serve(&context))))),
        ),
    ];
    let clock_and_inbox = [
        undocumented(
            "readClock",
            Method::GET,
            "/dev/clock",
            client(Scope::Read, |context, _| Box::pin(ready(dev::read_clock(&context)))),
        ),
        undocumented(
            "turnClock",
            Method::POST,
            "/dev/clock",
            client(Scope::Write, |context, _| Box::pin(dev::turn_clock(context))),
        ),
        undocumented(
            "listArrivals",
            Method::GET,
            "/dev/inbox",
            client(Scope::Read, |context, _| Box::pin(ready(dev::list_arrivals(&context)))),
        ),
        undocumented(
            "emptyInbox",
            Method::DELETE,
            "/dev/inbox",
            client(Scope::Write, |context, _| Box::pin(ready(dev::empty_inbox(&context)))),
        ),
    ];
    page.into_iter().chain(clock_and_inbox).chain(receiving_operations()).collect()
}

/// At the inbox itself, GET and DELETE are not deliveries.
fn receiving_operations() -> impl Iterator<Item = Operation> {
    use Access::Anyone;
    const INBOX: &str = "/dev/inbox";
    const BELOW: &str = "/dev/inbox/{path}";
    let post = Anyone(|context| Box::pin(dev::receive(context, "POST")));
    let put = Anyone(|context| Box::pin(dev::receive(context, "PUT")));
    let patch = Anyone(|context| Box::pin(dev::receive(context, "PATCH")));
    let operations = [
        undocumented("receiveByPost", Method::POST, INBOX, post.clone()),
        undocumented("receiveByPut", Method::PUT, INBOX, put.clone()),
        undocumented("receiveByPatch", Method::PATCH, INBOX, patch.clone()),
        undocumented("receiveBelowByPost", Method::POST, BELOW, post),
        undocumented("receiveBelowByPut", Method::PUT, BELOW, put),
        undocumented("receiveBelowByPatch", Method::PATCH, BELOW, patch),
        undocumented("receiveBelowByGet", Method::GET, BELOW, Anyone(|context| Box::pin(dev::receive(context, "GET")))),
        undocumented(
            "receiveBelowByDelete",
            Method::DELETE,
            BELOW,
            Anyone(|context| Box::pin(dev::receive(context, "DELETE"))),
        ),
    ];
    operations.into_iter().map(|operation| Operation { body_limit: MAX_DELIVERY, ..operation })
}
