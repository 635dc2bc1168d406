//! The settings, read once from the environment into types.
//!
//! Everything that is wrong is reported together, by the setting's name. A secret's value is never
//! part of a report.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::auth::{ApiKey, SigningKeys, TokenSettings};
use crate::delivery::SigningSecrets;
use crate::domain::{ClientId, EndpointPolicy, Secret};
use crate::public_url::PublicUrl;
use crate::store::AzureSettings;

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `USE_AZURE_SERVICES` and `AzureWebJobsStorage`: the storage account; none for the embedded store.
    pub azure: Option<AzureSettings>,
    /// `HOST` and `PORT`: where to listen. Under the Functions host: where it will call.
    pub listen: SocketAddr,
    /// `FUNCTIONS_CUSTOMHANDLER_PORT` is set: the Functions host started us, receives the wake-ups and
    /// keeps the time, and this process only answers it.
    pub under_host: bool,
    /// `PUBLIC_URL`, or what the platform says: where clients reach the service; none for where it listens.
    pub public_url: Option<PublicUrl>,
    /// `SCHEDULER_DATA_DIR`: where the embedded store and the local credentials live.
    pub data_dir: PathBuf,
    /// `SCHEDULER_CLIENT_ID` and `SCHEDULER_API_KEY`: the first client; made on the first run if not set.
    pub client: Option<(ClientId, ApiKey)>,
    /// `JWT_SIGNING_KEYS`; made on the first run if not set.
    pub signing_keys: Option<SigningKeys>,
    /// `JWT_ISSUER`, `JWT_AUDIENCE` and `JWT_TTL_SECONDS`.
    pub tokens: TokenSettings,
    /// `WEBHOOK_SIGNING_SECRETS`; made on the first run if not set.
    pub signing_secrets: Option<SigningSecrets>,
    /// `DELIVERY_ALLOWED_NETWORKS`.
    pub endpoints: EndpointPolicy,
    /// `RUST_LOG`.
    pub log: Targets,
}

/// The settings, with the defaults that a laptop gets.
pub const SETTINGS: [(&str, &str); 20] = [
    ("USE_AZURE_SERVICES", "false"),
    ("AzureWebJobsStorage", ""),
    ("AzureWebJobsStorage__accountName", ""),
    ("AzureWebJobsStorage__tableServiceUri", ""),
    ("AzureWebJobsStorage__queueServiceUri", ""),
    ("AzureWebJobsStorage__credential", ""),
    ("AzureWebJobsStorage__clientId", ""),
    ("HOST", "127.0.0.1"),
    ("PORT", "8000"),
    ("PUBLIC_URL", ""),
    ("SCHEDULER_DATA_DIR", ".scheduler"),
    ("SCHEDULER_CLIENT_ID", ""),
    ("SCHEDULER_API_KEY", ""),
    ("JWT_SIGNING_KEYS", ""),
    ("JWT_ISSUER", "mcp-scheduler"),
    ("JWT_AUDIENCE", "mcp-scheduler"),
    ("JWT_TTL_SECONDS", "3600"),
    ("WEBHOOK_SIGNING_SECRETS", ""),
    (ALLOWED_NETWORKS, "127.0.0.0/8,::1/128"),
    ("RUST_LOG", "info"),
];

/// Set by the Functions host for the process that it starts, and by nobody else; so it is no setting.
const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// Set by App Service, Functions included, and by the tools that imitate it; so it is no setting either.
const WEBSITE_HOSTNAME: &str = "WEBSITE_HOSTNAME";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Its default is for a laptop: on Azure, loopback is nobody's endpoint.
const ALLOWED_NETWORKS: &str = "DELIVERY_ALLOWED_NETWORKS";

/// Everything that is wrong with the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem{}:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    #[allow(clippy::disallowed_methods)] // the one place that reads the environment
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(|name| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned()))
    }

    /// Reads the settings by a function that looks one up. A setting that is empty counts as not set.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = Vars { lookup, on_azure: false, problems: Vec::new() };
        vars.on_azure = vars.read("USE_AZURE_SERVICES", parse_bool) == Some(true);
        let azure = if vars.on_azure { vars.azure() } else { None };
        let under_host = vars.get(HOST_PORT).is_some();
        let listen = if under_host {
            // The host calls this address and no other, whatever else is set.
            SocketAddr::new(LOCALHOST, vars.read(HOST_PORT, parse_port).unwrap_or_default())
        } else {
            let (host, port) = (vars.read("HOST", parse_host), vars.read("PORT", parse_port));
            SocketAddr::new(host.unwrap_or(LOCALHOST), port.unwrap_or_default())
        };
        let public_url = match vars.get("PUBLIC_URL") {
            Some(_) => vars.read("PUBLIC_URL", str::parse::<PublicUrl>),
            None => vars.read(WEBSITE_HOSTNAME, PublicUrl::of_website),
        };
        let data_dir = vars.read("SCHEDULER_DATA_DIR", |text| Ok::<_, &str>(PathBuf::from(text)));
        let client = vars.client();
        let signing_keys = vars.secret("JWT_SIGNING_KEYS", str::parse::<SigningKeys>);
        let signing_secrets = vars.secret("WEBHOOK_SIGNING_SECRETS", str::parse::<SigningSecrets>);
        let issuer = vars.read("JWT_ISSUER", |text| Ok::<_, &str>(text.to_owned()));
        let audience = vars.read("JWT_AUDIENCE", |text| Ok::<_, &str>(text.to_owned()));
        let ttl = vars.read("JWT_TTL_SECONDS", parse_ttl);
        let allowed_networks = vars.read(ALLOWED_NETWORKS, parse_networks);
        let own_hosts = own_hosts(public_url.as_ref(), vars.get(WEBSITE_HOSTNAME));
        let log = vars.read("RUST_LOG", |text| {
            Targets::from_str(text).map_err(|_| "must be a level, or target=level pairs separated by commas")
        });
        if !vars.problems.is_empty() {
            return Err(ConfigError(vars.problems));
        }
        Ok(Self {
            azure,
            listen,
            under_host,
            public_url,
            data_dir: data_dir.unwrap_or_default(),
            client,
            signing_keys,
            tokens: TokenSettings {
                issuer: issuer.unwrap_or_default(),
                audience: audience.unwrap_or_default(),
                ttl_seconds: ttl.unwrap_or_default(),
            },
            signing_secrets,
            endpoints: EndpointPolicy { allowed_networks: allowed_networks.unwrap_or_default(), own_hosts },
            log: without_requests(&log.unwrap_or_default()),
        })
    }
}

/// Why a setting that a laptop can do without is missed on Azure.
const NOT_MADE: &str = "is missing; with USE_AZURE_SERVICES=true no credentials are made";

/// How a reference begins that the platform replaces by the secret, or leaves as it is when it cannot. Such a
/// text would do for an API key, and everybody could guess it.
const VAULT_REFERENCE: &str = "@Microsoft.KeyVault(";
const UNRESOLVED: &str = "is a Key Vault reference that was not resolved; does the secret exist, and may the app's \
                          identity read it (Key Vault Secrets User, keyVaultReferenceIdentity)?";

struct Vars<F> {
    lookup: F,
    on_azure: bool,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    fn get(&self, name: &str) -> Option<String> {
        let default = || {
            let found = SETTINGS.iter().find(|(n, _)| *n == name && !(self.on_azure && name == ALLOWED_NETWORKS));
            found.map(|(_, default)| (*default).to_owned())
        };
        (self.lookup)(name).filter(|text| !text.is_empty()).or_else(default).filter(|text| !text.is_empty())
    }

    fn problem(&mut self, name: &str, what: impl fmt::Display) {
        self.problems.push(format!("{name}: {what}"));
    }

    fn read<T, E: fmt::Display>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let text = self.get(name)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.problem(name, "is not Unicode text");
            return None;
        }
        if text.starts_with(VAULT_REFERENCE) {
            self.problem(name, UNRESOLVED);
            return None;
        }
        parse(text.trim()).map_err(|what| self.problem(name, what)).ok()
    }

    /// What is made on a laptop where it is not set.
    fn secret<T, E: fmt::Display>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        if self.on_azure && self.get(name).is_none() {
            self.problem(name, NOT_MADE);
        }
        self.read(name, parse)
    }

    fn azure(&mut self) -> Option<AzureSettings> {
        AzureSettings::from_vars(&self.lookup).map_err(|error| self.problem(error.name, error.problem)).ok()
    }

    fn client(&mut self) -> Option<(ClientId, ApiKey)> {
        let (id, key) = ("SCHEDULER_CLIENT_ID", "SCHEDULER_API_KEY");
        match (self.get(id).is_some(), self.get(key).is_some()) {
            (true, false) => self.problem(key, "is missing; set it together with SCHEDULER_CLIENT_ID"),
            (false, true) => self.problem(id, "is missing; set it together with SCHEDULER_API_KEY"),
            (false, false) if self.on_azure => self.problem(id, NOT_MADE),
            _ => {}
        }
        let client = self.read(id, str::parse::<ClientId>);
        let key = self.read(key, |text| ApiKey::new(Secret::new(text.to_owned())));
        client.zip(key)
    }
}

/// The names under which clients reach the service, with the platform's own: no conversation goes there. The
/// names of a machine for itself are not among them, because a laptop may well be its own endpoint.
fn own_hosts(public_url: Option<&PublicUrl>, website: Option<String>) -> Vec<String> {
    let public = public_url.map(|url| url.origin(None).authority().to_owned());
    let without_port = |host: String| host.split(':').next().unwrap_or_default().to_owned();
    let is_name = |host: &String| host.contains('.') && host.parse::<IpAddr>().is_err();
    public.into_iter().chain(website).map(without_port).filter(is_name).collect()
}

fn parse_bool(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false"),
    }
}

fn parse_host(text: &str) -> Result<IpAddr, &'static str> {
    match text {
        "localhost" => Ok(LOCALHOST),
        _ => text.parse().map_err(|_| "must be an IP address or localhost"),
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "must be a port number from 0 to 65535")
}

fn parse_ttl(text: &str) -> Result<u32, String> {
    let max = TokenSettings::MAX_TTL_SECONDS;
    text.parse()
        .ok()
        .filter(|ttl| (60..=max).contains(ttl))
        .ok_or_else(|| format!("must be a number of seconds from 60 to {max}"))
}

fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    let parse = |net: &str| net.parse().map_err(|_| format!("{net:?} is not a network such as 10.0.0.0/8 or ::1/128"));
    match text {
        "none" => Ok(Vec::new()),
        _ => text.split(',').map(str::trim).filter(|net| !net.is_empty()).map(parse).collect(),
    }
}

/// Some crates print whole requests, the secrets in them too, below some level; they are held at that
/// level whatever was asked for.
fn without_requests(wanted: &Targets) -> Targets {
    // The storage crates print the authorization header at `debug`; rmcp prints the arguments of tools
    // at `debug`, and says at `info` of every single message that a service began and ended.
    cap_level(&cap_level(wanted, "azure_", LevelFilter::INFO), "rmcp", LevelFilter::WARN)
}

fn cap_level(wanted: &Targets, crates: &str, highest: LevelFilter) -> Targets {
    let asked_for = [LevelFilter::INFO, LevelFilter::WARN, LevelFilter::ERROR]
        .into_iter()
        .find(|level| level.into_level().is_some_and(|level| wanted.would_enable(crates, &level)));
    let held = |(target, level): (&str, LevelFilter)| {
        (target.to_owned(), if target.starts_with(crates) { level.min(highest) } else { level })
    };
    wanted
        .iter()
        .map(held)
        .collect::<Targets>()
        .with_default(wanted.default_level().unwrap_or(LevelFilter::OFF))
        .with_target(crates, asked_for.unwrap_or(LevelFilter::OFF).min(highest))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let vars: HashMap<_, _> = vars.iter().copied().collect();
        Config::from_vars(|name| vars.get(name).map(|v| (*v).to_owned()))
    }

    #[test]
    fn nothing_set_gives_what_a_laptop_needs() {
        let config = config(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.data_dir, PathBuf::from(".scheduler"));
        assert!(config.client.is_none() && config.signing_keys.is_none());
        assert_eq!(config.tokens.ttl_seconds, 3600);
        assert!(config.endpoints.check("http://127.0.0.1:1/").is_ok());
    }

    #[test]
    fn empty_means_not_set() {
        assert_eq!(config(&[("PORT", ""), ("HOST", "")]).unwrap().listen.port(), 8000);
    }

    #[test]
    fn under_the_functions_host_its_port_on_loopback_is_the_only_one() {
        let own = [("HOST", "0.0.0.0"), ("PORT", "nonsense")];
        let config = config(&[own[0], own[1], ("FUNCTIONS_CUSTOMHANDLER_PORT", "40001")]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:40001");
        assert!(config.under_host);
    }

    #[test]
    fn the_public_url_is_the_configured_one_or_the_platforms() {
        let (own, platform) = (("PUBLIC_URL", "https://a.example/"), ("WEBSITE_HOSTNAME", "b.azurewebsites.net"));
        for (vars, expected) in [
            (&[own, platform][..], Some("https://a.example")),
            (&[platform], Some("https://b.azurewebsites.net")),
            (&[], None),
        ] {
            let url = config(vars).unwrap().public_url;
            assert_eq!(url.as_ref().map(|url| url.origin(None).as_str()), expected);
        }
    }

    #[test]
    fn a_port_of_the_host_that_is_none_stops_the_start() {
        let error = config(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "x")]).unwrap_err().to_string();
        assert!(error.contains("\n  FUNCTIONS_CUSTOMHANDLER_PORT: "), "{error}");
        assert!(!config(&[]).unwrap().under_host);
    }

    #[test]
    fn a_reference_that_the_platform_did_not_resolve_is_no_secret() {
        let reference = "@Microsoft.KeyVault(VaultName=mcp-scheduler-kv;SecretName=SCHEDULER-API-KEY)";
        let error = config(&[("SCHEDULER_CLIENT_ID", "me"), ("SCHEDULER_API_KEY", reference)]).unwrap_err().to_string();
        assert!(error.contains("\n  SCHEDULER_API_KEY: is a Key Vault reference that was not resolved"), "{error}");
    }

    #[test]
    fn all_problems_are_reported_together_and_no_secret_with_them() {
        let error = config(&[
            ("USE_AZURE_SERVICES", "maybe"),
            ("PORT", "70000"),
            ("PUBLIC_URL", "https://user:canary@a.example"),
            ("HOST", "example.com"),
            ("SCHEDULER_API_KEY", "canary"),
            ("JWT_SIGNING_KEYS", "k1:canary"),
            ("JWT_TTL_SECONDS", "3601"),
            ("WEBHOOK_SIGNING_SECRETS", "whsec_canary"),
            ("DELIVERY_ALLOWED_NETWORKS", "10.0.0.0/33"),
            ("RUST_LOG", "x=loud"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "USE_AZURE_SERVICES",
            "PORT",
            "PUBLIC_URL",
            "HOST",
            "SCHEDULER_CLIENT_ID",
            "SCHEDULER_API_KEY",
            "JWT_SIGNING_KEYS",
            "JWT_TTL_SECONDS",
            "WEBHOOK_SIGNING_SECRETS",
            "DELIVERY_ALLOWED_NETWORKS",
            "RUST_LOG",
        ] {
            assert!(error.contains(&format!("\n  {name}: ")), "{name} in {error}");
        }
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn the_service_is_not_its_own_endpoint_under_any_of_its_names() {
        let vars = [("PUBLIC_URL", "https://a.example:8443/"), ("WEBSITE_HOSTNAME", "b.azurewebsites.net")];
        assert_eq!(config(&vars).unwrap().endpoints.own_hosts, ["a.example", "b.azurewebsites.net"]);
        for local in ["localhost:7071", "127.0.0.1:7071", "[::1]:7071"] {
            assert!(config(&[("WEBSITE_HOSTNAME", local)]).unwrap().endpoints.own_hosts.is_empty());
        }
    }

    #[test]
    fn no_network_is_exempt_if_that_is_said() {
        let config = config(&[("DELIVERY_ALLOWED_NETWORKS", "none")]).unwrap();
        assert!(config.endpoints.allowed_networks.is_empty());
    }

    const ON_AZURE: [(&str, &str); 6] = [
        ("USE_AZURE_SERVICES", "true"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("SCHEDULER_CLIENT_ID", "a"),
        ("SCHEDULER_API_KEY", "canary-canary-canary"),
        ("JWT_SIGNING_KEYS", "k1:cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca"),
        ("WEBHOOK_SIGNING_SECRETS", "whsec_cacacacacacacacacacacacacacacacacacacaca"),
    ];

    #[test]
    fn on_azure_no_network_is_exempt_unless_one_is_named() {
        let config = config(&ON_AZURE).unwrap();
        assert_eq!(config.azure.unwrap().account, "devstoreaccount1");
        assert!(config.endpoints.check("http://127.0.0.1:1/").is_err());
    }

    #[test]
    fn without_azure_its_settings_do_not_matter() {
        assert_eq!(config(&[("AzureWebJobsStorage", "nonsense")]).unwrap().azure, None);
    }

    #[test]
    fn on_azure_nothing_is_made_so_everything_has_to_be_set() {
        let error = config(&[("USE_AZURE_SERVICES", "true")]).unwrap_err().to_string();
        for name in ["AzureWebJobsStorage", "SCHEDULER_CLIENT_ID", "JWT_SIGNING_KEYS", "WEBHOOK_SIGNING_SECRETS"] {
            assert!(error.contains(&format!("\n  {name}: is missing")), "{name} in {error}");
        }
    }

    #[test]
    fn no_log_level_makes_a_crate_print_the_requests_that_go_through_it() {
        use tracing_subscriber::filter::LevelFilter as Level;
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
            let log = config(&[("RUST_LOG", wanted)]).unwrap().log;
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

    #[test]
    fn a_configured_secret_does_not_show_in_debug() {
        let config = config(&[
            ("SCHEDULER_CLIENT_ID", "a"),
            ("SCHEDULER_API_KEY", "canary-canary-canary"),
            ("JWT_SIGNING_KEYS", &format!("k1:{}", "ca".repeat(32))),
            ("WEBHOOK_SIGNING_SECRETS", &format!("whsec_{}", "ca".repeat(20))),
        ])
        .unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("canary") && !shown.contains("caca"), "{shown}");
    }
}
