//! How much is logged, and in which form; and where metrics and traces are sent.

use std::str::FromStr as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

use super::vars::{Setting, Vars, any_text};

const RUST_LOG: Setting<Targets> = Setting { name: "RUST_LOG", default: "info", read: parse_targets };

const LOG_FORMAT: Setting<LogFormat> = Setting { name: "LOG_FORMAT", default: "auto", read: parse_format };
/// Not a setting of this program alone: <https://no-color.org>.
const NO_COLOR: Setting<String> = Setting { name: "NO_COLOR", default: "", read: any_text };

/// A standard setting of OpenTelemetry.
const OTLP_ENDPOINT: Setting<Url> = Setting { name: "OTEL_EXPORTER_OTLP_ENDPOINT", default: "", read: parse_otlp };

pub(super) const SETTINGS: [(&str, &str); 3] = [RUST_LOG.entry(), LOG_FORMAT.entry(), OTLP_ENDPOINT.entry()];

/// How much is logged, and in which form; and where metrics and traces are sent.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// `RUST_LOG`, with the levels of some crates capped.
    pub log: Targets,
    /// Whether `RUST_LOG` is set.
    pub is_log_set: bool,
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// Whether a terminal may show colours: `NO_COLOR` is not set.
    pub colour: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`. Without it nothing is sent.
    pub otlp_endpoint: Option<Url>,
}

/// The form of the lines of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people if the log goes to a terminal, otherwise JSON.
    #[default]
    Auto,
    /// One JSON object in each line.
    Json,
    /// For people.
    Human,
}

impl TelemetryConfig {
    pub(super) fn read(vars: &mut Vars<'_>) -> Self {
        Self {
            log: without_requests(&vars.read(&RUST_LOG).unwrap_or_default()),
            is_log_set: vars.is_set(&RUST_LOG),
            format: vars.read(&LOG_FORMAT).unwrap_or_default(),
            colour: !vars.is_set(&NO_COLOR),
            otlp_endpoint: vars.read(&OTLP_ENDPOINT),
        }
    }

    /// The same for a command that prints a result: it logs only warnings, unless `RUST_LOG` is set.
    #[must_use]
    pub fn for_command(self) -> Self {
        let log =
            if self.is_log_set { self.log } else { without_requests(&Targets::new().with_default(LevelFilter::WARN)) };
        Self { log, ..self }
    }
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "human" => Ok(LogFormat::Human),
        _ => Err("must be auto, json or human".to_owned()),
    }
}

/// Reads the URL of a collector. Credentials are headers: a URL is shown in errors and lists of processes.
fn parse_otlp(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("must be the http or https URL of a collector, such as http://127.0.0.1:4318")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password; OTEL_EXPORTER_OTLP_HEADERS is for credentials".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment: /v1/metrics and /v1/traces are added at its end".to_owned());
    }
    Ok(url)
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

    use super::LogFormat;
    use crate::config::tests::config;

    #[test]
    fn the_format_is_one_of_three_and_no_color_turns_the_colours_off() {
        let telemetry = |vars: &[(&str, &str)]| config(vars).unwrap().telemetry;
        for (text, format) in
            [("", LogFormat::Auto), ("auto", LogFormat::Auto), ("json", LogFormat::Json), ("human", LogFormat::Human)]
        {
            assert_eq!(telemetry(&[("LOG_FORMAT", text)]).format, format);
        }
        let problem = config(&[("LOG_FORMAT", "JSON ")]).unwrap_err().to_string();
        assert!(problem.contains("LOG_FORMAT: must be auto, json or human"), "{problem}");
        // https://no-color.org: any value but an empty one.
        for (value, colour) in [("", true), ("0", false), ("1", false)] {
            assert_eq!(telemetry(&[("NO_COLOR", value)]).colour, colour, "{value:?}");
        }
    }

    #[test]
    fn a_command_logs_warnings_alone_unless_rust_log_is_set() {
        for (set, level) in [(None, Level::WARN), (Some("info"), Level::INFO), (Some("debug"), Level::DEBUG)] {
            let vars: Vec<_> = set.map(|text| ("RUST_LOG", text)).into_iter().collect();
            let log = config(&vars).unwrap().telemetry.for_command().log;
            assert_eq!(log.default_level(), Some(level), "{set:?}");
        }
    }

    #[test]
    fn the_collector_has_a_url_without_credentials() {
        let url = |text: &str| config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)]).map(|c| c.telemetry.otlp_endpoint);
        assert_eq!(url("").unwrap(), None);
        assert_eq!(url("http://127.0.0.1:4318").unwrap().unwrap().as_str(), "http://127.0.0.1:4318/");
        assert_eq!(url("https://example.com/otlp").unwrap().unwrap().as_str(), "https://example.com/otlp");
        for wrong in
            ["127.0.0.1:4318", "ftp://a", "canary", "http://canary@a", "http://a:canary@b", "https://a/?key=canary"]
        {
            let problem = url(wrong).unwrap_err().to_string();
            assert!(problem.contains("OTEL_EXPORTER_OTLP_ENDPOINT: must"), "{problem}");
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

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
