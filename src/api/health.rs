//! What the health checks answer.

use schemars::JsonSchema;
use serde::Serialize;

/// The process responds.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
}

impl Health {
    pub(crate) const OK: Self = Self { status: "ok" };
}

/// The service is ready.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ready {
    pub(crate) status: &'static str,
    pub(crate) checks: Vec<HealthCheck>,
}

/// One thing that was examined.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct HealthCheck {
    /// What was examined.
    pub(crate) name: &'static str,
    /// `ok`; `warning` if somebody should look at it; `failed` if conversations cannot be scheduled or delivered.
    #[schemars(extend("enum" = ["ok", "warning", "failed"]))]
    pub(crate) status: &'static str,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}
