//! Reaches the documents of programs, and other issuers, through the egress guard.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::auth::DocumentFetcher;
use crate::domain::{Method, Secret};
use crate::login::Documents;
use crate::outbound::{EndpointResponse, HttpSender, OutboundRequest, Sender as _};

/// Reaches them with the client for deliveries, which connects only to addresses that deliveries may reach.
pub struct GuardedFetcher(pub Arc<HttpSender>);

#[async_trait]
impl DocumentFetcher for GuardedFetcher {
    async fn fetch(&self, url: &str) -> Option<Bytes> {
        let response = self.send(url, request(Method::Get)).await?;
        response.body.filter(|_| response.status == 200)
    }

    async fn send_form(&self, url: &str, form: Bytes) -> Option<Bytes> {
        let mut request = OutboundRequest { body: Some(form), ..request(Method::Post) };
        request.headers.push(header("content-type", "application/x-www-form-urlencoded"));
        self.send(url, request).await?.body
    }
}

impl GuardedFetcher {
    async fn send(&self, url: &str, request: OutboundRequest) -> Option<EndpointResponse> {
        let route = self.0.route(url).await.ok()?;
        self.0.send(request, route).await.result.ok()
    }
}

fn request(method: Method) -> OutboundRequest {
    OutboundRequest {
        method,
        headers: vec![header("accept", "application/json")],
        body: None,
        keep_response: true,
        timeout: Documents::TIMEOUT,
    }
}

fn header(name: &str, value: &str) -> (String, Secret<String>) {
    (name.to_owned(), Secret::new(value.to_owned()))
}
