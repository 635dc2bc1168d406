//! The commands on conversations. Each calls an operation of the API and prints its answer.

mod cancel;
mod inbox;
mod list;
mod move_to;
mod preview;
mod redeliver;
mod schedule;
mod show;
mod watch;
mod when;

pub(super) use cancel::{CancelArguments, cancel};
pub(super) use inbox::{AcknowledgeArguments, ReceiveArguments, acknowledge, receive};
pub(super) use list::{ListArguments, list};
pub(super) use move_to::{MoveArguments, move_to};
pub(super) use preview::{PreviewArguments, preview};
pub(super) use redeliver::{RedeliverArguments, redeliver};
pub(super) use schedule::{ScheduleArguments, schedule};
pub(super) use show::{ShowArguments, show};
pub(super) use watch::{WatchArguments, watch};
