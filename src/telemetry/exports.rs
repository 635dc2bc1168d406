//! Where the metrics go.

use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::config::Config;
use crate::metrics::Metrics;

/// The exports of the process.
pub struct Exports {
    metrics: SdkMeterProvider,
}

impl Exports {
    /// The time in which the last values must be sent after the stop.
    const DRAIN: Duration = Duration::from_secs(3);

    /// Installs the metrics of the process. They are for `GET /metrics`, which does not exist under the Functions host.
    ///
    /// # Errors
    /// [`OTelSdkError`] if it was called before.
    pub fn start(config: &Config) -> Result<Self, OTelSdkError> {
        let mut builder = SdkMeterProvider::builder().with_resource(resource());
        if !config.server.under_host {
            let registry = prometheus::default_registry().clone();
            let exporter = opentelemetry_prometheus::exporter().with_registry(registry);
            builder = builder.with_reader(exporter.scope_info_enabled(false).build()?);
        }
        let metrics = builder.build();
        Metrics::new(&metrics.meter("mcp-scheduler")).install();
        Ok(Self { metrics })
    }

    /// Sends what is left.
    pub async fn stop(self) {
        let stop = tokio::task::spawn_blocking(move || self.metrics.shutdown_with_timeout(Self::DRAIN));
        if let Ok(Err(error)) = stop.await {
            tracing::warn!(%error, "the last metrics were not sent");
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
