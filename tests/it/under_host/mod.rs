//! The function app as it is staged, under a stand-in for the Functions host, on Azurite.

mod cancelling;
mod delivering;
mod deploying;
mod far_future;
mod forwarding;
mod killing;
mod measuring;
mod outage;
mod poison;
mod public_contract;
mod rules;
pub mod stage;
mod wake_ups;
