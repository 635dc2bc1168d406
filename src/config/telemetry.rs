//! How much is logged.

use std::str::FromStr as _;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::vars::{Setting, Vars};

const RUST_LOG: Setting<Targets> = Setting { name: "RUST_LOG", default: "info", read: parse_targets };

pub(super) const SETTINGS: [(&str, &str); 1] = [RUST_LOG.entry()];

/// How much is logged.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// `RUST_LOG`, with the levels of some crates capped.
    pub log: Targets,
}

impl TelemetryConfig {
    pub(super) fn read(vars: &mut Vars<'_>) -> Self {
        Self { log: without_requests(&vars.read(&RUST_LOG).unwrap_or_default()) }
    }
}

fn parse_targets(text: &str) -> Result<Targets, String> {
    Targets::from_str(text).map_err(|_| "must be a level, or target=level pairs separated by commas".to_owned())
}

/// Caps the levels of crates that log whole requests, secrets included.
fn without_requests(wanted: &Targets) -> Targets {
    // The storage crates log the authorization header at `debug`. rmcp logs the arguments of tools at `debug`, and two
    // lines for every message at `info`.
    cap_level(&cap_level(wanted, "azure_", LevelFilter::INFO), "rmcp", LevelFilter::WARN)
}

/// Lowers the level of every target that begins with `crates` to `highest`, and leaves all others.
fn cap_level(wanted: &Targets, crates: &str, highest: LevelFilter) -> Targets {
    let asked_for = [LevelFilter::INFO, LevelFilter::WARN, LevelFilter::ERROR]
        .into_iter()
        .find(|level| level.into_level().is_some_and(|level| wanted.would_enable(crates, &level)));
    let capped = |(target, level): (&str, LevelFilter)| {
        (target.to_owned(), if target.starts_with(crates) { level.min(highest) } else { level })
    };
    wanted
        .iter()
        .map(capped)
        .collect::<Targets>()
        .with_default(wanted.default_level().unwrap_or(LevelFilter::OFF))
        .with_target(crates, asked_for.unwrap_or(LevelFilter::OFF).min(highest))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter as Level;

    use crate::config::tests::config;

    #[test]
    fn no_log_level_makes_a_crate_print_the_requests_that_go_through_it() {
        for (wanted, others, storage) in [
            ("info", Level::INFO, Level::INFO),
            ("trace", Level::TRACE, Level::INFO),
            ("debug,azure_core=trace,azure_core::policies=debug", Level::DEBUG, Level::INFO),
            ("debug,azure=trace,a=trace", Level::DEBUG, Level::INFO),
            ("azure_core::policies::transport=trace", Level::OFF, Level::OFF),
            ("info,rmcp=trace,rmcp::service=debug", Level::INFO, Level::INFO),
            ("error", Level::ERROR, Level::ERROR),
            ("debug,azure_core=warn", Level::DEBUG, Level::INFO),
            ("off", Level::OFF, Level::OFF),
        ] {
            let log = config(&[("RUST_LOG", wanted)]).unwrap().telemetry.log;
            let enabled = |target: &str| {
                let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
                let on = |l: &Level| log.would_enable(target, &l.into_level().unwrap());
                levels.into_iter().find(on).unwrap_or(Level::OFF)
            };
            assert_eq!((enabled("mcp_scheduler"), enabled("azure_data_tables")), (others, storage), "{wanted}");
            assert!(enabled("azure_core::policies::transport") <= Level::INFO, "{wanted}");
            assert!(enabled("azure_core::http_client::reqwest") <= Level::INFO, "{wanted}");
            assert_eq!(enabled("rmcp::service"), others.min(Level::WARN), "{wanted}");
        }
    }
}
