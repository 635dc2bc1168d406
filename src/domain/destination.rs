//! Where a conversation goes.

use super::Target;

/// Where a conversation goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An HTTP request to an endpoint.
    Endpoint(Target),
}
