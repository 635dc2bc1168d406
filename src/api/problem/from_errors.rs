//! The problems of the use cases and of authentication.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};

use super::constructors::STORE_RETRY_SECONDS;
use super::{ErrorDetail, Problem, ProblemType};
use crate::auth::{AuthError, ClientAdminError};
use crate::backup::BackupError;
use crate::delivery::InboxError;
use crate::domain::{Conversation, PauseRefused, RedeliveryRefused, Scope, Status, UpdateRefused};
use crate::scheduler::SchedulerError;

/// The time after which a caller should request a list again, in seconds.
const LIST_RETRY_SECONDS: &str = "1";

impl From<Vec<ErrorDetail>> for Problem {
    fn from(errors: Vec<ErrorDetail>) -> Self {
        Self::invalid(errors)
    }
}

impl From<SchedulerError> for Problem {
    fn from(error: SchedulerError) -> Self {
        match error {
            SchedulerError::NotFound => Self::no_such_conversation(),
            SchedulerError::TooLate { status, reason } => {
                Self::new(ProblemType::TooLate, format!("The conversation {reason}.")).conversation_status(status)
            }
            SchedulerError::RedeliveryRefused(refused) => Self::redelivery_refused(refused),
            SchedulerError::UpdateRefused { status, reason } => {
                let problem = Self::new(ProblemType::TooLate, format!("The conversation {reason}."));
                problem.hint(update_hint(reason)).conversation_status(status)
            }
            SchedulerError::OtherState => Self::new(
                ProblemType::PreconditionFailed,
                "The conversation is not in the state that If-Match names, so nothing was changed.",
            )
            .hint("Read the conversation again, and send the request with the ETag of that response."),
            SchedulerError::Busy => {
                Self::new(ProblemType::Busy, "Other requests changed the conversation at the same time.")
                    .hint("Send the same request again.")
            }
            SchedulerError::InvalidCursor => Self::invalid(vec![ErrorDetail {
                pointer: "/cursor".to_owned(),
                detail:
                    "must be the cursor that an earlier response of this operation returned, unchanged, with the same \
                         filters and order as in that request; leave it out to start from the beginning"
                        .to_owned(),
            }]),
            SchedulerError::KeyOfOtherRequest => Self::new(
                ProblemType::IdempotencyKeyReused,
                "An earlier request with this idempotency key had other content, so nothing was scheduled.",
            )
            .hint(
                "To repeat the earlier request, send exactly what it contained. For another conversation, use a new key. A \
                 key is kept for 24 hours.",
            ),
            SchedulerError::ConversationGone => Self::new(
                ProblemType::ConversationGone,
                "An earlier request with this idempotency key scheduled a conversation that no longer exists.",
            )
            .hint("To schedule the conversation again, use a new key."),
            SchedulerError::TooManyLists => {
                Self::new(ProblemType::RateLimited, "Too many lists of this client are being read at the same time.")
                    .hint("Request a list after the one before has been answered.")
                    .header(RETRY_AFTER, LIST_RETRY_SECONDS)
            }
            SchedulerError::QuotaExceeded(exceeded) => Self::quota_exceeded(*exceeded),
            SchedulerError::BudgetExceeded(exceeded) => Self::budget_exceeded(&exceeded),
            SchedulerError::HostNotApproved { client, host } => Self::host_not_approved(&client, &host),
            SchedulerError::Unavailable(cause) => Self::unavailable(&cause),
            SchedulerError::Internal(cause) => Self::internal(&cause),
        }
    }
}

const fn update_hint(refused: UpdateRefused) -> &'static str {
    match refused {
        UpdateRefused::Final(_) | UpdateRefused::Pause(PauseRefused::Final(_) | PauseRefused::Ending) => {
            "To deliver something later, schedule a new conversation."
        }
        UpdateRefused::Delivering { .. } => "Send the same request again after this attempt.",
        UpdateRefused::Begun => {
            "Until it has ended, only endpoint, method, headers, retry, timeoutSeconds, expireAfter, labels and paused can \
             be changed."
        }
        UpdateRefused::NoOccurrence => {
            "Give a later endTime, or give scheduledTime to begin with another week or day. To stop it, cancel it."
        }
        UpdateRefused::Pause(PauseRefused::DoesNotRecur) => {
            "To deliver it later, set scheduledTime or delay. To stop it, cancel it."
        }
    }
}

impl From<InboxError> for Problem {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::NotFound => Self::no_such_conversation(),
            InboxError::ReceiptOver => Self::new(
                ProblemType::ReceiptOver,
                "The attempt of this receipt is over: its lease has ended, or it was acknowledged with another outcome.",
            )
            .hint(
                "Nothing was changed. If another attempt is left, receiveConversations returns the conversation again, with \
                 another receipt. getConversationStatus shows the result of each attempt.",
            ),
            InboxError::Store(error) => SchedulerError::from(error).into(),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => Self::unauthorized("Bearer"),
            AuthError::InvalidToken => Self::unauthorized("Bearer error=\"invalid_token\""),
            AuthError::InsufficientScope(scope) => Self::insufficient_scope(scope),
            AuthError::WrongCredentials => {
                Self::new(ProblemType::WrongCredentials, "The clientId or the apiKey is wrong.")
                    .header(WWW_AUTHENTICATE, "Bearer")
            }
            AuthError::NoScope => {
                Self::new(ProblemType::NoScope, "The client has no scopes, so a token would allow nothing.")
            }
            AuthError::TooManyFailures { retry_after } => Self::new(
                ProblemType::TooManyFailures,
                format!("Too many logins had wrong credentials. Retry in {retry_after} seconds."),
            )
            .header(RETRY_AFTER, retry_after.to_string()),
            AuthError::Unavailable(cause) => Self::unavailable(&cause),
            AuthError::Internal(cause) => Self::internal(&cause),
        }
    }
}

impl From<ClientAdminError> for Problem {
    fn from(error: ClientAdminError) -> Self {
        match error {
            ClientAdminError::NotFound(_) => Self::no_such_client(),
            ClientAdminError::Exists(id) => {
                Self::new(ProblemType::ClientExists, format!("A client {id} exists already."))
                    .hint("To give it another key, use rotateClientKey. To add another client, choose another id.")
            }
            ClientAdminError::First(_) => Self::new(ProblemType::FirstClient, format!("{error}."))
                .hint("To change its key, change SCHEDULER_API_KEY and start the service again."),
            ClientAdminError::TooManyHosts(_) => {
                Self::invalid(vec![ErrorDetail { pointer: "/host".to_owned(), detail: error.to_string() }])
            }
            ClientAdminError::Unavailable(cause) => Self::unavailable(&cause),
            ClientAdminError::Internal(cause) => Self::internal(&cause),
        }
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let invalid = |pointer: String, detail: String| Self::invalid(vec![ErrorDetail { pointer, detail }]);
        match error {
            BackupError::InvalidCursor => invalid(
                "/cursor".to_owned(),
                "must be the nextCursor that an earlier response returned; leave it out to start anew".to_owned(),
            ),
            BackupError::Line { at, reason } => invalid(format!("/lines/{at}"), reason),
            BackupError::Unavailable(cause) => Self::unavailable(&cause),
            BackupError::Internal(cause) => Self::internal(&cause),
        }
    }
}

impl Problem {
    fn redelivery_refused(refused: RedeliveryRefused) -> Self {
        match refused {
            RedeliveryRefused::NotFailed(status) => {
                Self::new(ProblemType::NotFailed, format!("The conversation is {}.", status.as_str()))
                    .hint(
                        "A Scheduled or InProgress conversation is delivered without this call. To send what it sends \
                         once more now, use runConversation.",
                    )
                    .conversation_status(status)
            }
            RedeliveryRefused::AttemptsUsedUp { begun, more } => {
                let max = Conversation::MAX_ATTEMPTS_IN_LIFE;
                let detail = format!(
                    "The conversation has had {begun} attempts, and another delivery may need {more}. A conversation has \
                     at most {max} attempts in its life."
                );
                Self::new(ProblemType::TooManyAttempts, detail)
                    .hint(
                        "Look at lastError and find out why the endpoint does not accept the conversation. Then schedule \
                         a new conversation with the same text.",
                    )
                    .conversation_status(Status::Failed)
            }
        }
    }

    fn unavailable(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "store failed");
        Self::new(ProblemType::Unavailable, "The store cannot be reached, so the request was not confirmed.")
            .hint("Send the same request again after the time in the Retry-After header.")
            .header(RETRY_AFTER, STORE_RETRY_SECONDS)
    }

    /// The text is the same for every error of a token: a precise one would help somebody who forges tokens.
    fn unauthorized(challenge: &'static str) -> Self {
        Self::new(ProblemType::Unauthorized, "The request has no valid bearer token.")
            .hint(
                "Get a token with POST /api/auth/token and send it as Authorization: Bearer <token>. An API key can stand in \
                 place of the token: msk_…, or <client id>:<API key> for one of another form.",
            )
            .header(WWW_AUTHENTICATE, challenge)
    }

    fn insufficient_scope(scope: Scope) -> Self {
        let detail = format!("This operation needs the scope {scope}, and the token does not have it.");
        Self::new(ProblemType::InsufficientScope, detail)
            .hint("Request a token with this scope. If the client itself lacks the scope, tell your user.")
            .header(WWW_AUTHENTICATE, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_lists_are_a_rate_limit_with_a_time_to_retry() {
        let problem = Problem::from(SchedulerError::TooManyLists);
        assert_eq!(problem.problem_type(), ProblemType::RateLimited);
        assert!(problem.headers().any(|(name, value)| *name == RETRY_AFTER && value == "1"));
    }
}
