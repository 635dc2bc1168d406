//! Finds the failed operation in the response to a transaction.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::{
    BytesStream, CollectedResponse, Context, Method, Policy, PolicyResult, Request, Response, StatusCode,
};
use serde::Deserialize;

use super::pass_on;
use crate::json::StrictObject;

/// The operation for which a transaction failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FailedOperation {
    pub(super) status: StatusCode,
    /// The error code of the service.
    pub(super) code: String,
    /// The position in the transaction, if the service named it.
    pub(super) position: Option<usize>,
}

impl fmt::Display for FailedOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an operation of the transaction failed: {} {}", u16::from(self.status), self.code)
    }
}

impl std::error::Error for FailedOperation {}

/// Turns the response to a failed transaction into an error.
///
/// The service responds to a failed transaction with a status of success and with the error of one operation. The text
/// of that error begins with the operation's position, and the crate drops the text.
#[derive(Debug)]
pub(super) struct FailedTransactions;

#[async_trait]
impl Policy for FailedTransactions {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let is_transaction = *request.method() == Method::Post && request.url().path().ends_with("/$batch");
        let response = pass_on(context, request, next).await?;
        if !is_transaction {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = CollectedResponse::from_response(response).await?.body().clone();
        match std::str::from_utf8(&body).ok().and_then(failed_operation) {
            Some(failed) => Err(Error::new(ErrorKind::Other, failed)),
            None => Ok(Response::new(status, headers, Box::pin(BytesStream::new(body)))),
        }
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "odata.error")]
    error: StrictObject<ODataError>,
}

#[derive(Deserialize)]
struct ODataError {
    code: String,
    message: StrictObject<Message>,
}

#[derive(Deserialize)]
struct Message {
    value: String,
}

/// The failed operation in the body of a transaction's response.
fn failed_operation(body: &str) -> Option<FailedOperation> {
    body.split("--changesetresponse_").find_map(|part| {
        let status = part.lines().find_map(|line| line.strip_prefix("HTTP/1.1 "))?;
        let status: u16 = status.split(' ').next()?.parse().ok()?;
        let status = StatusCode::try_from(status).ok().filter(|status| !status.is_success())?;
        let json = part.get(part.find('{')?..=part.rfind('}')?)?;
        let error = serde_json::from_str::<StrictObject<ErrorBody>>(json).ok().map(|StrictObject(body)| body.error.0);
        let position = error.as_ref().and_then(|error| error.message.0.value.split_once(':')?.0.parse().ok());
        let code = error.map(|error| error.code).unwrap_or_default();
        Some(FailedOperation { status, code: code.chars().take(64).collect(), position })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(parts: &[&str]) -> String {
        let parts = parts.join("\r\n--changesetresponse_1\r\n");
        format!(
            "--batchresponse_1\r\n\r\n--changesetresponse_1\r\n{parts}\r\n--changesetresponse_1--\r\n--batchresponse_1--\r\n"
        )
    }

    #[test]
    fn the_failed_operation_is_named_by_its_position() {
        let part = "Content-Type: application/http\r\n\r\nHTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\n\r\n\
                    {\"odata.error\":{\"code\":\"EntityAlreadyExists\",\"message\":{\"lang\":\"en-US\",\
                    \"value\":\"12:The specified entity already exists.\\nRequestId:7\"}}}";
        let code = "EntityAlreadyExists".to_owned();
        let failed = FailedOperation { status: StatusCode::Conflict, code, position: Some(12) };
        assert_eq!(failed_operation(&response(&[part])), Some(failed.clone()));
        let unnamed = part.replace("12:", "");
        let failed = FailedOperation { position: None, ..failed };
        assert_eq!(failed_operation(&response(&[&unnamed])), Some(failed));
    }

    #[test]
    fn an_error_without_a_body_still_has_its_status() {
        let failed = FailedOperation { status: StatusCode::PreconditionFailed, code: String::new(), position: None };
        let part = "HTTP/1.1 412 Precondition Failed\r\n\r\n{}";
        assert_eq!(failed_operation(&response(&[part])), Some(failed));
    }

    #[test]
    fn a_transaction_that_succeeded_has_no_failed_operation() {
        assert_eq!(failed_operation(&response(&["HTTP/1.1 204 No Content\r\nETag: W/\"{}\"\r\n"; 2])), None);
        assert_eq!(failed_operation(""), None);
    }
}
