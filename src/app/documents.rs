//! Reads the documents of programs, and the keys of other issuers, through the egress guard.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::auth::DocumentFetcher;
use crate::domain::{Method, Secret};
use crate::login::Documents;
use crate::outbound::{HttpSender, OutboundRequest, Sender as _};

/// Reads documents with the client for deliveries, which connects only to addresses that deliveries may reach.
pub struct GuardedFetcher(pub Arc<HttpSender>);

#[async_trait]
impl DocumentFetcher for GuardedFetcher {
    async fn fetch(&self, url: &str) -> Option<Bytes> {
        let route = self.0.route(url).await.ok()?;
        let request = OutboundRequest {
            method: Method::Get,
            endpoint: url.to_owned(),
            headers: vec![("accept".to_owned(), Secret::new("application/json".to_owned()))],
            body: None,
            keep_response: true,
            timeout: Documents::TIMEOUT,
        };
        let response = self.0.send(request, route).await.result.ok()?;
        response.body.filter(|_| response.status == 200)
    }
}
