//! From a due row to a recorded result: claim, send, complete.
//!
//! A service with its own store has a `follower`, which starts a delivery for each row when its time comes; `mend` puts
//! right what an earlier process or a wrong clock has left, and `next_due` tells the follower of earlier rows. A service
//! on a storage account has wake-ups: `worker` receives them when there is no Functions host and `processed` deletes
//! their messages, `wake_up_handler` handles them, and `slot_runner` runs the rows of a second, without those that are `in_hand`
//! of another run.
//!
//! `deliver` runs one delivery, and `not_ready` says why one does not begin. `client_limiter` shares the deliveries that
//! are under way between the clients, `host_limiter` limits how many of them go to one host, and `retry_schedule` says
//! when a delivery that one of them refuses tries again. `request_delivery` sends a request to an endpoint: `request` builds it and `signing` signs it,
//! `classify` turns the response into a result with the caller's check in `success_check`, `retry` computes the pause
//! before the next attempt, and `result` writes the result. `recorder` commits each change, with the `callback` that tells of
//! the end of a delivery.
//!
//! `subscriptions` grants subscriptions to events, and `subscribers` finds those that want one. `event` writes the messages to
//! them, and `event_delivery` sends an event.
//!
//! `inbox` hands out the conversations that no worker sends: their clients receive and acknowledge them.

mod callback;
mod classify;
mod client_limiter;
mod deliver;
mod event;
mod event_delivery;
mod follower;
mod host_limiter;
mod in_hand;
mod inbox;
mod mend;
mod next_due;
mod not_ready;
mod processed;
mod recorder;
mod request;
mod request_delivery;
mod result;
mod retry;
mod retry_schedule;
mod signing;
mod slot_runner;
mod subscribers;
mod subscriptions;
mod success_check;
mod wake_up_handler;
mod worker;

pub(crate) use callback::News;
pub use classify::classify;
pub use deliver::{Deliverer, DeliveryOutcome};
pub use follower::Follower;
pub use inbox::{Inbox, InboxDelivery, InboxError, ReceiveQuery};
pub use next_due::NextDue;
pub(crate) use request::{CloudEvent, JsonBody, webhook_id};
pub use retry::retry_delay;
pub use signing::{
    ClientKeys, InvalidSigningSecrets, PublicKey, SignatureChoice, Signer, SigningSecrets, Unverified, Verifier,
    subscriber_secret,
};
pub use slot_runner::{RunReport, SlotRunner};
pub use subscribers::Subscribers;
pub use subscriptions::{Granted, SubscribeError, SubscriptionKey, Subscriptions};
pub use wake_up_handler::{WakeUpHandler, WakeUpOutcome};
pub use worker::Worker;

// The Functions host hands a wake-up to `http` as a message.
pub use crate::store::{InvalidWakeUp, WakeUp};
