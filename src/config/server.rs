//! Where the service listens, and where its data directory is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use super::vars::{Setting, Vars, any_text, parsed};
use crate::auth::TrustedProxies;
use crate::domain::Retention;
use crate::public_url::PublicUrl;

const HOST: Setting<IpAddr> = Setting { name: "HOST", default: "127.0.0.1", read: parse_host };
const PORT: Setting<u16> = Setting { name: "PORT", default: "8000", read: parse_port };
const PUBLIC_URL: Setting<PublicUrl> = Setting { name: "PUBLIC_URL", default: "", read: parsed };
/// Without Azure there is no default, because a laptop has one user.
const RATE_LIMIT: Setting<Option<NonZeroU32>> =
    Setting { name: "RATE_LIMIT_PER_SECOND", default: "", read: parse_rate_limit };
const RATE_LIMIT_ON_AZURE: Option<NonZeroU32> = NonZeroU32::new(100);
/// Without Azure there is no default, because a laptop has one user.
const MAX_PENDING: Setting<Option<NonZeroU32>> =
    Setting { name: "MAX_PENDING_PER_CLIENT", default: "", read: parse_max_pending };
const MAX_PENDING_ON_AZURE: Option<NonZeroU32> = NonZeroU32::new(100_000);
/// Without Azure there is no default, because a laptop has one user.
const MAX_PENDING_BYTES: Setting<Option<NonZeroUsize>> =
    Setting { name: "MAX_PENDING_BYTES_PER_CLIENT", default: "", read: parse_max_pending_bytes };
/// The 100,000 conversations of the other quota then have 10 KiB each. Most have less than 4 KiB.
const MAX_PENDING_BYTES_ON_AZURE: Option<NonZeroUsize> = NonZeroUsize::new(1 << 30);
/// With less, a single large conversation could be refused for ever.
const LEAST_PENDING_BYTES: usize = 1 << 20;
const DATA_DIR: Setting<PathBuf> = Setting { name: "SCHEDULER_DATA_DIR", default: ".scheduler", read: any_text };
const RETENTION_DAYS: Setting<Retention> = Setting { name: "RETENTION_DAYS", default: "30", read: parsed };

const TRUSTED_PROXIES: Setting<TrustedProxies> = Setting { name: "TRUSTED_PROXIES", default: "", read: parsed };

pub(super) const SETTINGS: [(&str, &str); 9] = [
    HOST.entry(),
    PORT.entry(),
    PUBLIC_URL.entry(),
    RATE_LIMIT.entry(),
    MAX_PENDING.entry(),
    MAX_PENDING_BYTES.entry(),
    DATA_DIR.entry(),
    RETENTION_DAYS.entry(),
    TRUSTED_PROXIES.entry(),
];

/// The Functions host sets this variable for the process that it starts. It is not in the list of settings, because
/// no operator sets it.
const HOST_PORT: Setting<u16> = Setting { name: "FUNCTIONS_CUSTOMHANDLER_PORT", default: "", read: parse_port };
/// App Service, Functions included, and the tools that imitate it set this variable. It is no setting either.
pub(super) const WEBSITE_HOSTNAME: Setting<PublicUrl> =
    Setting { name: "WEBSITE_HOSTNAME", default: "", read: parse_website };

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where the service listens, and where its data directory is.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `HOST` and `PORT`. Under the Functions host: the port that it calls.
    pub listen: SocketAddr,
    /// `FUNCTIONS_CUSTOMHANDLER_PORT` is set: the Functions host started this process, receives the wake-ups and runs
    /// the timer. The process runs no worker.
    pub under_host: bool,
    /// `PUBLIC_URL`, or else the host name that the platform has set. With both, clients are told the first, and
    /// requests can name both. Without both, clients use the address on which the service listens.
    pub public_url: Option<PublicUrl>,
    /// `RATE_LIMIT_PER_SECOND`: the requests that a client may send in each second; `None` for no limit.
    pub rate_limit: Option<NonZeroU32>,
    /// `MAX_PENDING_PER_CLIENT`: the conversations of a client that may be pending at one time; `None` for no limit.
    pub max_pending: Option<NonZeroU32>,
    /// `MAX_PENDING_BYTES_PER_CLIENT`: the bytes that a client may have given with its pending conversations; `None` for
    /// no limit.
    pub max_pending_bytes: Option<NonZeroUsize>,
    /// `SCHEDULER_DATA_DIR`: contains the embedded store and the local credentials.
    pub data_dir: PathBuf,
    /// `RETENTION_DAYS`: how long a conversation is kept after it has ended.
    pub retention: Retention,
    /// `TRUSTED_PROXIES`: the proxies whose `X-Forwarded-For` names the source of a request.
    pub trusted_proxies: TrustedProxies,
}

impl ServerConfig {
    pub(super) fn read(vars: &mut Vars<'_>) -> Self {
        let under_host = vars.is_set(&HOST_PORT);
        let listen = if under_host {
            // The host calls this address and no other, so HOST and PORT do not matter.
            SocketAddr::new(LOCALHOST, vars.read(&HOST_PORT).unwrap_or_default())
        } else {
            let (host, port) = (vars.read(&HOST), vars.read(&PORT));
            SocketAddr::new(host.unwrap_or(LOCALHOST), port.unwrap_or_default())
        };
        let public_url = match (vars.read(&PUBLIC_URL), vars.read(&WEBSITE_HOSTNAME)) {
            (Some(own), Some(platform)) => Some(own.also_reached_by(&platform)),
            (own, platform) => own.or(platform),
        };
        let on_azure = vars.on_azure;
        let rate_limit = vars.read(&RATE_LIMIT).unwrap_or(RATE_LIMIT_ON_AZURE.filter(|_| on_azure));
        let max_pending = vars.read(&MAX_PENDING).unwrap_or(MAX_PENDING_ON_AZURE.filter(|_| on_azure));
        let bytes_on_azure = MAX_PENDING_BYTES_ON_AZURE.filter(|_| on_azure);
        let max_pending_bytes = vars.read(&MAX_PENDING_BYTES).unwrap_or(bytes_on_azure);
        let data_dir = vars.read(&DATA_DIR).unwrap_or_default();
        let retention = vars.read(&RETENTION_DAYS).unwrap_or_default();
        let trusted_proxies = vars.read(&TRUSTED_PROXIES).unwrap_or_default();
        Self {
            listen,
            under_host,
            public_url,
            rate_limit,
            max_pending,
            max_pending_bytes,
            data_dir,
            retention,
            trusted_proxies,
        }
    }
}

fn parse_host(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(LOCALHOST),
        _ => text.parse().map_err(|_| "must be an IP address or localhost".to_owned()),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "must be a port number from 0 to 65535".to_owned())
}

fn parse_rate_limit(text: &str) -> Result<Option<NonZeroU32>, String> {
    parse_limit(text, "requests per second")
}

fn parse_max_pending(text: &str) -> Result<Option<NonZeroU32>, String> {
    parse_limit(text, "conversations")
}

fn parse_max_pending_bytes(text: &str) -> Result<Option<NonZeroUsize>, String> {
    match text.parse() {
        Ok(bytes) if bytes == 0 || bytes >= LEAST_PENDING_BYTES => Ok(NonZeroUsize::new(bytes)),
        _ => Err(format!("must be a number of bytes, at least {LEAST_PENDING_BYTES}, or 0 for no limit")),
    }
}

fn parse_limit(text: &str, of: &str) -> Result<Option<NonZeroU32>, String> {
    text.parse().map(NonZeroU32::new).map_err(|_| format!("must be a number of {of}, or 0 for no limit"))
}

fn parse_website(text: &str) -> Result<PublicUrl, String> {
    PublicUrl::of_website(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};

    use crate::config::tests::{ON_AZURE, config};
    use crate::public_url::PublicUrl;

    #[test]
    fn each_client_has_a_rate_limit_on_azure_and_where_one_is_set() {
        let limit = |vars: &[(&str, &str)]| config(vars).unwrap().server.rate_limit.map(NonZeroU32::get);
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[("RATE_LIMIT_PER_SECOND", "7")]), Some(7));
        assert_eq!(limit(&ON_AZURE), Some(100));
        let unlimited = [&ON_AZURE[..], &[("RATE_LIMIT_PER_SECOND", "0")]].concat();
        assert_eq!(limit(&unlimited), None);
        for wrong in ["-1", "many", "1.5"] {
            let error = config(&[("RATE_LIMIT_PER_SECOND", wrong)]).unwrap_err().to_string();
            assert!(error.contains("\n  RATE_LIMIT_PER_SECOND: must be a number"), "{error}");
        }
    }

    #[test]
    fn the_pending_conversations_of_a_client_are_limited_on_azure_and_where_a_limit_is_set() {
        let limit = |vars: &[(&str, &str)]| config(vars).unwrap().server.max_pending.map(NonZeroU32::get);
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[("MAX_PENDING_PER_CLIENT", "7")]), Some(7));
        assert_eq!(limit(&ON_AZURE), Some(100_000));
        let unlimited = [&ON_AZURE[..], &[("MAX_PENDING_PER_CLIENT", "0")]].concat();
        assert_eq!(limit(&unlimited), None);
        let error = config(&[("MAX_PENDING_PER_CLIENT", "many")]).unwrap_err().to_string();
        assert!(error.contains("\n  MAX_PENDING_PER_CLIENT: must be a number of conversations"), "{error}");
    }

    #[test]
    fn the_bytes_of_pending_conversations_are_limited_on_azure_and_where_a_limit_is_set() {
        let name = "MAX_PENDING_BYTES_PER_CLIENT";
        let limit = |vars: &[(&str, &str)]| config(vars).unwrap().server.max_pending_bytes.map(NonZeroUsize::get);
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[(name, "1048576")]), Some(1_048_576));
        assert_eq!(limit(&ON_AZURE), Some(1_073_741_824));
        let unlimited = [&ON_AZURE[..], &[(name, "0")]].concat();
        assert_eq!(limit(&unlimited), None);
        for wrong in ["1 GiB", "-1", "1048575"] {
            let error = config(&[(name, wrong)]).unwrap_err().to_string();
            assert!(
                error.contains("\n  MAX_PENDING_BYTES_PER_CLIENT: must be a number of bytes, at least 1048576"),
                "{error}"
            );
        }
    }

    #[test]
    fn conversations_are_kept_for_a_month_or_as_long_as_is_set() {
        let retention = |vars: &[(&str, &str)]| config(vars).map(|config| config.server.retention);
        assert_eq!(retention(&[]), Ok("30".parse().unwrap()));
        assert_eq!(retention(&[("RETENTION_DAYS", "3650")]), Ok("3650".parse().unwrap()));
        let error = retention(&[("RETENTION_DAYS", "0")]).unwrap_err().to_string();
        assert!(
            error.contains("\n  RETENTION_DAYS: must be a number of days from 1 to 3650; it cannot be off"),
            "{error}"
        );
    }

    #[test]
    fn under_the_functions_host_its_port_on_loopback_is_the_only_one() {
        let own = [("HOST", "0.0.0.0"), ("PORT", "nonsense")];
        let config = config(&[own[0], own[1], ("FUNCTIONS_CUSTOMHANDLER_PORT", "40001")]).unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:40001");
        assert!(config.server.under_host);
    }

    #[test]
    fn the_public_url_is_the_configured_one_or_the_platforms() {
        let (own, platform) = (("PUBLIC_URL", "https://a.example/"), ("WEBSITE_HOSTNAME", "b.azurewebsites.net"));
        for (vars, expected, hosts) in [
            (&[own, platform][..], Some("https://a.example"), &["a.example", "b.azurewebsites.net"][..]),
            (&[own], Some("https://a.example"), &["a.example"]),
            (&[platform], Some("https://b.azurewebsites.net"), &["b.azurewebsites.net"]),
            (&[], None, &[]),
        ] {
            let url = config(vars).unwrap().server.public_url;
            assert_eq!(url.as_ref().map(|url| url.origin(None).as_str()), expected);
            assert_eq!(url.iter().flat_map(PublicUrl::hosts).collect::<Vec<_>>(), hosts);
        }
    }

    #[test]
    fn a_wrong_port_of_the_functions_host_stops_the_start() {
        let error = config(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "x")]).unwrap_err().to_string();
        assert!(error.contains("\n  FUNCTIONS_CUSTOMHANDLER_PORT: "), "{error}");
        assert!(!config(&[]).unwrap().server.under_host);
    }
}
