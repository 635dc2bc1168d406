//! What `mcp-scheduler dev` has besides the service: a clock that can be turned (`turner`, and `agenda` for what is due), and a receiver that keeps what
//! arrives (`arrivals`). No other command has them.

mod agenda;
mod arrivals;
mod turner;

use std::sync::Arc;

pub use arrivals::{Arrival, Arrivals, Listed};
pub use turner::{StoppedBy, TurnError, Turned, Turner, TurningWorker};

use crate::time::{Clock, TurnableClock};

/// What the handlers of `/dev` call.
pub struct Dev {
    /// Turns the clock.
    pub turner: Turner,
    /// Keeps what arrives.
    pub arrivals: Arrivals,
    /// The clock that is turned. It decides when a conversation is due.
    pub clock: Arc<TurnableClock>,
    /// The clock of the machine. Signatures have its time.
    pub calendar: Arc<dyn Clock>,
}
