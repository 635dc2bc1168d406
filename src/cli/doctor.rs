//! `mcp-scheduler doctor`: says what works and what does not, and what to do.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::ServiceArguments;
use super::output;
use super::service::{readiness, service_url};
use crate::app::{self, Check, CheckStatus};
use crate::config::Config;

/// Say what works and what does not, and what to do
///
/// It asks the service or, if nothing runs at the address of the settings, examines its store. The exit code is 1 if something
/// does not work.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler doctor --endpoint https://example.com/hook")]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    service: ServiceArguments,
    /// Also say whether a delivery can connect to this endpoint
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// A check of the service, or of this program.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Finding {
    name: String,
    status: String,
    detail: Option<String>,
}

impl From<Check> for Finding {
    fn from(Check { name, status, detail }: Check) -> Self {
        Self { name: name.to_owned(), status: status.as_str().to_owned(), detail }
    }
}

impl Finding {
    fn failed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status: CheckStatus::Failed.as_str().to_owned(), detail: Some(detail.into()) }
    }

    fn is(&self, status: CheckStatus) -> bool {
        self.status == status.as_str()
    }
}

/// The longest time for one part. The parts run side by side.
const LIMIT: Duration = Duration::from_millis(1900);

/// Examines the service or, if none runs, its store. The exit code is 1 if something does not work.
pub(super) async fn run(config: &Config, arguments: DoctorArguments) -> Result<ExitCode, String> {
    let DoctorArguments { service: ServiceArguments { url, json }, endpoint } = arguments;
    let endpoint = async {
        match endpoint {
            Some(endpoint) => Some(app::examine_endpoint(config, &endpoint, LIMIT).await.into()),
            None => None,
        }
    };
    // The settings of this process are not those of a service elsewhere.
    let has_settings = url.is_none();
    let secrets = async { if has_settings { Some(app::examine_secrets(config, LIMIT).await.into()) } else { None } };
    let (of_service, secrets, endpoint) = tokio::join!(of_service(config, url), secrets, endpoint);
    let mut findings = of_service;
    findings.extend(secrets);
    findings.extend(endpoint);
    output::print(if json { as_json(&findings) } else { as_text(&findings) })?;
    let has_failed = findings.iter().any(|finding| finding.is(CheckStatus::Failed));
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the running service says of itself; without one, what its store looks like.
async fn of_service(config: &Config, url: Option<String>) -> Vec<Finding> {
    let asked = async {
        match service_url(config, url).await? {
            Some(url) => readiness(&url, LIMIT).await.map(|answer| Some((url, answer))),
            None => Ok(None),
        }
    };
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(Ok(Some((url, answer)))) => checks_in(&url, &answer),
        Ok(Ok(None)) => {
            let stopped = Finding {
                name: "service".to_owned(),
                status: CheckStatus::Warning.as_str().to_owned(),
                detail: Some(format!("nothing runs at {}", config.server.listen)),
            };
            let of_store = app::examine_store(config).await;
            [stopped].into_iter().chain(of_store.into_iter().map(Finding::from)).collect()
        }
        Ok(Err(error)) => vec![Finding::failed("service", error)],
        Err(_) => vec![Finding::failed("service", "it has not answered in time")],
    }
}

/// The checks in the answer of `ready`, which is either a list of them or a problem that has the list.
fn checks_in(url: &str, answer: &Value) -> Vec<Finding> {
    let checks = answer.get("checks").cloned().and_then(|checks| serde_json::from_value::<Vec<Finding>>(checks).ok());
    let Some(checks) = checks else {
        return vec![Finding::failed("service", format!("what answers at {url} is not a service of this release"))];
    };
    let runs =
        Finding { name: "service".to_owned(), status: "ok".to_owned(), detail: Some(format!("it runs at {url}")) };
    [runs].into_iter().chain(checks).collect()
}

fn as_json(findings: &[Finding]) -> String {
    let checks: Vec<_> = findings
        .iter()
        .map(|Finding { name, status, detail }| json!({ "name": name, "status": status, "detail": detail }))
        .collect();
    json!({ "checks": checks }).to_string()
}

fn as_text(findings: &[Finding]) -> String {
    let lines = findings.iter().flat_map(|finding| {
        let detail = finding.detail.as_deref().unwrap_or_default();
        let line = format!("{:<9} {:<8} {detail}", finding.name, finding.status).trim_end().to_owned();
        let advice = advice(finding).map(|advice| format!("{:18} → {advice}", ""));
        [line].into_iter().chain(advice)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What an operator can do.
fn advice(finding: &Finding) -> Option<&'static str> {
    if finding.is(CheckStatus::Ok) {
        return None;
    }
    Some(match (&*finding.name, finding.detail.as_deref()) {
        ("service", _) if finding.is(CheckStatus::Warning) => "Start it: mcp-scheduler",
        ("service", _) => "Check the address, and the log of the service.",
        ("store", _) if finding.is(CheckStatus::Warning) => "Start the service: mcp-scheduler",
        ("store", _) => {
            "Check that the data directory or the storage account is there and that the service may use it."
        }
        ("clock", _) => "Let this machine follow a time server (NTP).",
        ("overdue", _) => "See oldest-overdue in docs/runbook.md.",
        ("sweep", _) => "Run mcp-scheduler sweep --once, and see sweep-not-running in docs/runbook.md.",
        ("queue", _) if finding.is(CheckStatus::Warning) => "See poison-messages in docs/runbook.md.",
        ("queue", _) => "Check that the service may use the queues of the storage account.",
        ("secrets", _) if finding.is(CheckStatus::Warning) => "Start the service once: mcp-scheduler",
        ("secrets", _) => "Mend the file, the setting or the secret of the vault that the line names.",
        ("endpoint", Some("dns_error")) => "Check the name, and the name servers of this machine.",
        ("endpoint", Some("tls_error")) => {
            "Its certificate must be valid, for this name, and by an authority of Mozilla's list."
        }
        ("endpoint", Some("blocked")) => "The egress guard does not allow it: see docs/delivery.md.",
        ("endpoint", _) => "Check that it runs, and that a firewall lets this machine out.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_of_a_service_are_read_from_both_of_its_answers() {
        let checks = json!([{ "name": "store", "status": "failed", "detail": "it cannot be read" }]);
        for answer in [json!({ "status": "ok", "checks": checks }), json!({ "type": "urn:x", "checks": checks })] {
            let findings = checks_in("http://a", &answer);
            assert_eq!(findings.len(), 2);
            assert_eq!(findings[1], Finding::failed("store", "it cannot be read"));
        }
        assert!(checks_in("http://a", &json!("hello"))[0].is(CheckStatus::Failed));
    }

    #[test]
    fn everything_that_does_not_work_has_advice() {
        for name in ["service", "store", "clock", "overdue", "sweep", "queue", "secrets", "endpoint"] {
            for status in [CheckStatus::Warning, CheckStatus::Failed] {
                let finding = Finding { name: name.to_owned(), status: status.as_str().to_owned(), detail: None };
                assert!(advice(&finding).is_some(), "{name} {status:?}");
            }
        }
        assert_eq!(advice(&Finding::from(Check::ok("store"))), None);
    }

    #[test]
    fn the_text_has_a_line_for_each_check_and_the_advice_below_it() {
        let findings = [
            Finding::from(Check::ok("store")),
            Finding::from(Check::new("overdue", CheckStatus::Warning, "a conversation has been due for 75 s")),
        ];
        let expected = "\
store     ok
overdue   warning  a conversation has been due for 75 s
                   → See oldest-overdue in docs/runbook.md.";
        assert_eq!(as_text(&findings), expected);
    }
}
