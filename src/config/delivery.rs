//! Which endpoints a delivery may reach, and how it is signed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::server::{ServerConfig, WEBSITE_HOSTNAME};
use super::vars::{Setting, Vars, parsed};
use crate::delivery::SigningSecrets;
use crate::domain::EndpointPolicy;

const SIGNING_SECRETS: Setting<SigningSecrets> = Setting { name: "WEBHOOK_SIGNING_SECRETS", default: "", read: parsed };
/// The default is for a laptop, which may be its own endpoint. On Azure there is no default: an app's own loopback
/// is never an endpoint.
const ALLOWED_NETWORKS: Setting<Vec<IpNet>> =
    Setting { name: "DELIVERY_ALLOWED_NETWORKS", default: "127.0.0.0/8,::1/128", read: parse_networks };

pub(super) const SETTINGS: [(&str, &str); 2] = [SIGNING_SECRETS.entry(), ALLOWED_NETWORKS.entry()];

/// Which endpoints a delivery may reach, and how it is signed.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// `WEBHOOK_SIGNING_SECRETS`. Without it the first start generates a secret.
    pub signing_secrets: Option<SigningSecrets>,
    /// `DELIVERY_ALLOWED_NETWORKS`, and the names of the service itself.
    pub endpoints: EndpointPolicy,
}

impl DeliveryConfig {
    pub(super) fn read(vars: &mut Vars<'_>, server: &ServerConfig) -> Self {
        let signing_secrets = vars.read_secret(&SIGNING_SECRETS);
        let no_default = vars.on_azure && !vars.is_set(&ALLOWED_NETWORKS);
        let allowed_networks = if no_default { None } else { vars.read(&ALLOWED_NETWORKS) };
        let allowed_networks = allowed_networks.unwrap_or_default();
        let own_hosts = own_hosts(server, vars.text(&WEBSITE_HOSTNAME));
        Self { signing_secrets, endpoints: EndpointPolicy { allowed_networks, own_hosts } }
    }
}

/// The names under which clients reach the service. A delivery to one of them would call the service itself. Loopback
/// names are not among them, because a laptop may be its own endpoint.
fn own_hosts(server: &ServerConfig, website: Option<String>) -> Vec<String> {
    let public = server.public_url.as_ref().map(|url| url.origin(None).authority().to_owned());
    let without_port = |host: String| host.split(':').next().unwrap_or_default().to_owned();
    let is_name = |host: &String| host.contains('.') && host.parse::<IpAddr>().is_err();
    public.into_iter().chain(website).map(without_port).filter(is_name).collect()
}

fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    let parse = |net: &str| net.parse().map_err(|_| format!("{net:?} is not a network such as 10.0.0.0/8 or ::1/128"));
    match text {
        "none" => Ok(Vec::new()),
        _ => text.split(',').map(str::trim).filter(|net| !net.is_empty()).map(parse).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ON_AZURE, config};

    #[test]
    fn the_service_is_not_its_own_endpoint_under_any_of_its_names() {
        let vars = [("PUBLIC_URL", "https://a.example:8443/"), ("WEBSITE_HOSTNAME", "b.azurewebsites.net")];
        assert_eq!(config(&vars).unwrap().delivery.endpoints.own_hosts, ["a.example", "b.azurewebsites.net"]);
        for local in ["localhost:7071", "127.0.0.1:7071", "[::1]:7071"] {
            assert!(config(&[("WEBSITE_HOSTNAME", local)]).unwrap().delivery.endpoints.own_hosts.is_empty());
        }
    }

    #[test]
    fn none_means_that_no_network_is_exempt() {
        let config = config(&[("DELIVERY_ALLOWED_NETWORKS", "none")]).unwrap();
        assert!(config.delivery.endpoints.allowed_networks.is_empty());
    }

    #[test]
    fn on_azure_no_network_is_exempt_unless_one_is_named() {
        let config = config(&ON_AZURE).unwrap();
        assert!(config.delivery.endpoints.check("http://127.0.0.1:1/").is_err());
    }
}
