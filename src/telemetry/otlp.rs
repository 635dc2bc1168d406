//! The exporters to an OpenTelemetry collector: OTLP over HTTP, with the HTTP client of the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use url::Url;

/// The reason why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub(super) enum OtlpError {
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// A standard variable of OpenTelemetry is wrong.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// The exporters of a collector.
pub(super) struct Otlp {
    pub(super) metrics: MetricExporter,
    pub(super) spans: SpanExporter,
}

impl Otlp {
    pub(super) fn to(endpoint: &Url) -> Result<Self, OtlpError> {
        let base = endpoint.as_str().trim_end_matches('/');
        let client = CollectorClient::new()?;
        let metrics = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let spans = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        Ok(Self {
            metrics: metrics.with_http_client(client.clone()).with_endpoint(format!("{base}/v1/metrics")).build()?,
            spans: spans.with_http_client(client).with_endpoint(format!("{base}/v1/traces")).build()?,
        })
    }
}

/// Sends to a collector. The SDK calls it from threads of its own, which wait while the runtime of the program sends.
#[derive(Clone, Debug)]
struct CollectorClient {
    http: reqwest::Client,
    runtime: Handle,
    /// Whether the last export has failed. The log tells of the first failure only.
    is_failing: Arc<AtomicBool>,
}

impl CollectorClient {
    /// The time that a collector has for one export.
    const TIMEOUT: Duration = Duration::from_secs(10);
    /// The longest response that is read, in bytes. A collector says less.
    const MAX_RESPONSE: usize = 64 * 1024;

    #[allow(clippy::disallowed_methods)] // the operator names the collector, so the egress guard has no part in this
    fn new() -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().redirect(Policy::none()).timeout(Self::TIMEOUT).build()?;
        Ok(Self { http, runtime: Handle::current(), is_failing: Arc::default() })
    }

    async fn exchange(http: reqwest::Client, request: http::Request<Bytes>) -> reqwest::Result<http::Response<Bytes>> {
        let mut response = http.execute(request.try_into()?).await?;
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await? {
            body.extend_from_slice(&part);
            if body.len() >= Self::MAX_RESPONSE {
                break;
            }
        }
        let mut exchanged = http::Response::new(body.freeze());
        (*exchanged.status_mut(), *exchanged.headers_mut()) = (response.status(), response.headers().clone());
        Ok(exchanged)
    }

    fn note(&self, reason: Option<&str>) {
        let was_failing = self.is_failing.swap(reason.is_some(), Ordering::Relaxed);
        match reason {
            Some(reason) if !was_failing => {
                tracing::warn!(reason, "the collector takes no metrics or traces; what it misses is dropped");
            }
            None if was_failing => tracing::info!("the collector takes metrics and traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(Self::exchange(self.http.clone(), request)).await?;
        // The address may be a secret.
        let sent = sent.map_err(reqwest::Error::without_url);
        match &sent {
            Ok(response) if response.status().is_success() => self.note(None),
            Ok(response) => self.note(Some(response.status().as_str())),
            Err(error) => self.note(Some(&error.to_string())),
        }
        Ok(sent?)
    }
}
