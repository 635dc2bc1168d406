//! Which endpoints a delivery may reach, and how it is signed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::server::{ServerConfig, WEBSITE_HOSTNAME};
use super::vars::{Setting, Vars, any_text, parsed};
use crate::delivery::SigningSecrets;
use crate::domain::{AzureApp, EndpointPolicy, EventsText};

const SIGNING_SECRETS: Setting<SigningSecrets> = Setting { name: "WEBHOOK_SIGNING_SECRETS", default: "", read: parsed };
/// An empty text is an empty list: an operator who sets it so closes every network.
const ALLOWED_NETWORKS: Setting<Vec<IpNet>> =
    Setting { name: "DELIVERY_ALLOWED_NETWORKS", default: "", read: parse_networks };

const LOOPBACK: [IpNet; 2] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];
/// A connection to one of these addresses reaches loopback too.
const UNSPECIFIED: [IpNet; 2] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128),
];

/// Variables that Azure sets in an app. Not every plan sets each of them: Flex Consumption has no instance id.
const PLATFORM: [Setting<String>; 3] = [
    Setting { name: "WEBSITE_INSTANCE_ID", default: "", read: any_text },
    Setting { name: "WEBSITE_POD_NAME", default: "", read: any_text },
    Setting { name: "WEBSITE_SKU", default: "", read: any_text },
];
/// The name of the app without that of its slot. Azure sets this variable.
const WEBSITE_SITE_NAME: Setting<String> = Setting { name: "WEBSITE_SITE_NAME", default: "", read: any_text };

const EVENTS_TEXT: Setting<EventsText> = Setting { name: "MCP_EVENTS_TEXT", default: "draft", read: parsed };

pub(super) const SETTINGS: [(&str, &str); 3] = [SIGNING_SECRETS.entry(), ALLOWED_NETWORKS.entry(), EVENTS_TEXT.entry()];

/// Which endpoints a delivery may reach, and how it is signed.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// `WEBHOOK_SIGNING_SECRETS`. Without it the first start generates a secret.
    pub signing_secrets: Option<SigningSecrets>,
    /// `DELIVERY_ALLOWED_NETWORKS`, and the names of the service itself.
    pub endpoints: EndpointPolicy,
    /// `MCP_EVENTS_TEXT`: which text of the Events extension the service follows.
    pub events_text: EventsText,
}

impl DeliveryConfig {
    pub(super) fn read(vars: &mut Vars<'_>, server: &ServerConfig) -> Self {
        let signing_secrets = vars.read_secret(&SIGNING_SECRETS);
        let allowed_networks = allowed_networks(vars, server);
        let events_text = vars.read(&EVENTS_TEXT).unwrap_or_default();
        let website = vars.text(&WEBSITE_HOSTNAME).as_deref().map(without_port).filter(|host| is_name(host));
        let public = server.public_url.as_ref().map(|url| without_port(url.origin(None).authority()));
        let public = public.filter(|host| is_name(host));
        let app = vars.text(&WEBSITE_SITE_NAME);
        let own_app = website.as_deref().and_then(|host| AzureApp::of_host(host, app.as_deref()));
        let own_hosts = public.into_iter().chain(website).collect();
        Self { signing_secrets, endpoints: EndpointPolicy { allowed_networks, own_hosts, own_app }, events_text }
    }
}

/// The configured networks. The default of a laptop is loopback, because a laptop may be its own endpoint. If clients of
/// other machines reach the service, they must not reach the loopback services of this machine through it.
fn allowed_networks(vars: &mut Vars<'_>, server: &ServerConfig) -> Vec<IpNet> {
    let on_platform = PLATFORM.iter().any(|variable| vars.is_set(variable));
    if let Some(networks) = vars.read_or_empty(&ALLOWED_NETWORKS) {
        for network in networks.iter().filter(|network| on_platform && overlaps_this_machine(network)) {
            let problem = format!("{network} contains addresses of the machine itself, which is not allowed on Azure");
            vars.problem(ALLOWED_NETWORKS.name, problem);
        }
        return networks;
    }
    let on_laptop = !vars.on_azure && !on_platform && !server.under_host && server.listen.ip().is_loopback();
    if on_laptop { LOOPBACK.to_vec() } else { Vec::new() }
}

/// Whether a delivery to an address of this network could lead to the machine itself. One of two networks that overlap
/// contains the other.
fn overlaps_this_machine(network: &IpNet) -> bool {
    LOOPBACK.iter().chain(&UNSPECIFIED).any(|own| own.contains(network) || network.contains(own))
}

/// The name of a host. Loopback names are none, because a laptop may be its own endpoint.
fn is_name(host: &str) -> bool {
    host.contains('.') && host.parse::<IpAddr>().is_err()
}

fn without_port(host: &str) -> String {
    host.split(':').next().unwrap_or_default().to_owned()
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
    fn the_slots_of_the_app_are_known_by_its_name() {
        let own = |vars: &[(&str, &str)]| config(vars).unwrap().delivery.endpoints.own_app;
        let (production, slot, custom) = (
            ("WEBSITE_HOSTNAME", "app.azurewebsites.net"),
            ("WEBSITE_HOSTNAME", "app-staging.azurewebsites.net"),
            ("WEBSITE_HOSTNAME", "api.example.com"),
        );
        let site = ("WEBSITE_SITE_NAME", "app");
        let expected = own(&[production]);
        assert!(expected.is_some());
        assert_eq!((own(&[production, site]), own(&[slot, site])), (expected.clone(), expected));
        assert_eq!((own(&[custom, site]), own(&[])), (None, None));
    }

    /// Whether an endpoint on this machine is accepted.
    fn opens_loopback(vars: &[(&str, &str)]) -> bool {
        config(vars).unwrap().delivery.endpoints.check("http://127.0.0.1:1/").is_ok()
    }

    #[test]
    fn empty_and_none_mean_that_no_network_is_exempt_on_any_backend() {
        for text in ["", " ", ",", "none"] {
            let closed = ("DELIVERY_ALLOWED_NETWORKS", text);
            for vars in [&[closed][..], &[&ON_AZURE[..], &[closed]].concat()] {
                assert_eq!(config(vars).unwrap().delivery.endpoints.allowed_networks, [], "{text:?}");
            }
        }
    }

    #[test]
    fn loopback_is_the_default_only_for_a_service_that_others_do_not_reach() {
        for host in ["127.0.0.1", "127.0.0.9", "localhost", "::1"] {
            assert!(opens_loopback(&[("HOST", host)]), "{host}");
        }
        for (name, value) in [
            ("HOST", "0.0.0.0"),
            ("HOST", "::"),
            ("HOST", "192.0.2.1"),
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "40001"),
            ("WEBSITE_INSTANCE_ID", "1"),
            ("WEBSITE_POD_NAME", "1"),
            ("WEBSITE_SKU", "FlexConsumption"),
        ] {
            assert!(!opens_loopback(&[(name, value)]), "{name}={value}");
        }
        assert!(!opens_loopback(&ON_AZURE));
        assert!(opens_loopback(&[("HOST", "0.0.0.0"), ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8")]));
    }

    #[test]
    fn in_an_app_on_azure_no_entry_may_lead_to_the_machine_itself() {
        let with = |networks, variable: &[(&'static str, &'static str)]| {
            config(&[&ON_AZURE[..], &[("DELIVERY_ALLOWED_NETWORKS", networks)], variable].concat())
        };
        let platforms = ["WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "WEBSITE_SKU"];
        for own in [
            "127.0.0.0/8",
            "127.0.0.1/32",
            "::1/128",
            "0.0.0.0/0",
            "::/0",
            "126.0.0.0/7",
            "0.0.0.0/32",
            "10.0.0.0/8, ::/128",
        ] {
            for variable in platforms {
                let error = with(own, &[(variable, "x")]).unwrap_err().to_string();
                assert!(error.contains("\n  DELIVERY_ALLOWED_NETWORKS: "), "{own}: {error}");
            }
            assert!(with(own, &[]).is_ok(), "{own} with Azurite on a laptop");
        }
        for other in ["10.0.0.0/8", "126.0.0.0/8", "128.0.0.0/1", "1.0.0.0/8", "fd00::/8", "::2/127"] {
            assert!(with(other, &platforms.map(|variable| (variable, "x"))).is_ok(), "{other}");
        }
    }
}
