//! The packaged function app under the stand-in host, on Azurite.

mod cancelling;
mod dashboard;
mod delivering;
mod deploying;
mod example_settings;
mod far_future;
mod forwarding;
mod killing;
mod login;
mod measuring;
mod outage;
mod poison;
mod protocol;
mod public_contract;
mod rules;
mod wake_ups;
