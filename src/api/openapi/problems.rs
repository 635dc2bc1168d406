//! The problems that an operation can answer with.

use std::collections::BTreeMap;

use super::{Documented, Input};
use crate::api::ProblemType;

/// The problems of an operation, by status. Most of them follow from what the table says of it.
pub(super) fn of(operation: &Documented) -> BTreeMap<u16, Vec<ProblemType>> {
    use ProblemType as P;
    let mut problems = vec![P::MalformedRequest, P::Internal];
    if operation.needs_token {
        // The request is invalid if it has an Idempotency-Key where none is read.
        problems.extend([P::Unauthorized, P::TooManyFailures, P::RateLimited, P::Unavailable, P::InvalidRequest]);
    }
    if operation.scope.is_some() {
        problems.push(P::InsufficientScope);
    }
    match &operation.description.input {
        Input::Nothing => {}
        Input::Query(_) => problems.push(P::InvalidRequest),
        Input::Body(body) => {
            problems.extend([P::IncompleteBody, P::RequestTimeout, P::BodyTooLarge, P::Unavailable]);
            if body.media_types.contains(&"application/json") {
                problems.extend([P::InvalidRequest, P::MalformedJson, P::UnsupportedMediaType]);
            }
        }
    }
    if operation.path.contains('{') {
        let unknown = if operation.path.contains("{clientId}") { P::NoSuchClient } else { P::NoSuchConversation };
        // A value such as `schedule` makes the path that of other operations, or of none.
        problems.extend([unknown, P::NoSuchPath, P::MethodNotAllowed]);
    }
    if operation.takes_idempotency_key {
        problems.extend([P::IdempotencyKeyReused, P::ConversationGone]);
    }
    problems.extend(operation.description.problems);
    let mut by_status: BTreeMap<u16, Vec<P>> = BTreeMap::new();
    for problem in P::ALL.into_iter().filter(|problem| problems.contains(problem)) {
        by_status.entry(problem.status().as_u16()).or_default().push(problem);
    }
    by_status
}
