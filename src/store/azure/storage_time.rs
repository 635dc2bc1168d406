//! The time of the storage: learned from every response, and used to date every request.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use azure_core::headers::{DATE, MS_DATE};
use azure_core::{Context, HttpClient, Policy, PolicyResult, Request, Response};

use super::pass_on;
use crate::domain::Timestamp;
use crate::time::{Clock as _, StorageClock};

/// Sends requests, and tells the clock the date of each response, also of one with an error.
#[derive(Debug)]
pub(super) struct TimedTransport {
    http: reqwest::Client,
    clock: Arc<StorageClock>,
}

impl TimedTransport {
    pub(super) const fn new(http: reqwest::Client, clock: Arc<StorageClock>) -> Self {
        Self { http, clock }
    }
}

#[async_trait]
impl HttpClient for TimedTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<Response> {
        let sent = self.clock.since_boot();
        let response = self.http.execute_request(request).await?;
        let date = response.headers().get_optional_str(&DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        if let Some(date) = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) {
            self.clock.learn(Timestamp::MIN + date, sent);
        }
        Ok(response)
    }
}

/// Dates requests by the clock of the storage, before they are signed.
///
/// The storage refuses a request whose date is more than 15 minutes wrong, so a machine with a wrong clock could not work.
/// Its first request is refused, and the response tells the time.
#[derive(Debug)]
pub(super) struct DateByStorage(pub(super) Arc<StorageClock>);

#[async_trait]
impl Policy for DateByStorage {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if self.0.is_known() {
            let since_epoch = Timestamp::MIN.until(self.0.now());
            request.insert_header(MS_DATE, httpdate::fmt_http_date(UNIX_EPOCH + since_epoch));
        }
        pass_on(context, request, next).await
    }
}
