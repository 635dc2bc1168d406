//! Where the metrics and the traces go.

use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor as _};

use super::otlp::{Otlp, OtlpError};
use super::span_layer::{SCOPE, SPANS};
use crate::config::Config;
use crate::metrics::Metrics;

/// The exports of the process.
pub struct Exports {
    metrics: SdkMeterProvider,
}

/// The reason why metrics and traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("cannot export metrics and traces: {0}")]
pub struct ExportError(String);

impl From<OTelSdkError> for ExportError {
    fn from(error: OTelSdkError) -> Self {
        Self(error.to_string())
    }
}

impl From<OtlpError> for ExportError {
    fn from(error: OtlpError) -> Self {
        Self(error.to_string())
    }
}

impl Exports {
    /// The time in which what is left must be sent after the stop. It is the last of the ten seconds that a stop may take.
    const DRAIN: Duration = Duration::from_secs(1);

    /// Installs the metrics of the process, for `GET /metrics` and for a collector, and sends traces to the collector.
    /// Under the Functions host there is no `GET /metrics`.
    ///
    /// # Errors
    /// [`ExportError`] if it was called before, or a standard variable of OpenTelemetry is wrong.
    pub fn start(config: &Config) -> Result<Self, ExportError> {
        let resource = resource();
        let mut builder = SdkMeterProvider::builder().with_resource(resource.clone());
        if !config.server.under_host {
            let registry = prometheus::default_registry().clone();
            let exporter = opentelemetry_prometheus::exporter().with_registry(registry);
            builder = builder.with_reader(exporter.scope_info_enabled(false).build()?);
        }
        if let Some(endpoint) = &config.telemetry.otlp_endpoint {
            let Otlp { metrics, spans } = Otlp::to(endpoint)?;
            builder = builder.with_reader(PeriodicReader::builder(metrics).build());
            let mut spans = BatchSpanProcessor::builder(spans).build();
            spans.set_resource(&resource);
            let _ = SPANS.set(spans);
        }
        let metrics = builder.build();
        Metrics::new(&metrics.meter(SCOPE)).install();
        Ok(Self { metrics })
    }

    /// Sends what is left.
    pub async fn stop(self) {
        // Both wait for the collector at the same time.
        let metrics = tokio::task::spawn_blocking(move || self.metrics.shutdown_with_timeout(Self::DRAIN));
        let spans = tokio::task::spawn_blocking(|| SPANS.get().map(|spans| spans.shutdown_with_timeout(Self::DRAIN)));
        for (what, result) in [("metrics", metrics.await.ok()), ("spans", spans.await.ok().flatten())] {
            if let Some(Err(error)) = result {
                tracing::warn!(%error, "the last {what} were not sent");
            }
        }
    }
}

/// Who exports. The standard variables `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` can give another name, and more.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let name = Resource::builder().build().get(&Key::from_static_str("service.name"));
    let resource = Resource::builder().with_attribute(version);
    match name {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource.build(),
        _ => resource.with_service_name("mcp-scheduler").build(),
    }
}
