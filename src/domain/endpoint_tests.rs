use proptest::prelude::*;

use super::*;

fn on_azure() -> EndpointPolicy {
    EndpointPolicy { own_hosts: vec!["app.azurewebsites.net".to_owned()], ..EndpointPolicy::default() }
}

fn laptop() -> EndpointPolicy {
    with_networks(&["127.0.0.0/8", "::1/128"])
}

fn with_networks(networks: &[&str]) -> EndpointPolicy {
    EndpointPolicy { allowed_networks: networks.iter().map(|n| n.parse().unwrap()).collect(), ..on_azure() }
}

/// The error for an endpoint that is refused.
fn refusal(policy: &EndpointPolicy, endpoint: &str) -> String {
    policy.check(endpoint).expect_err(endpoint)
}

#[test]
fn https_to_the_internet_is_accepted() {
    for good in [
        "https://example.com",
        "HTTPS://EXAMPLE.COM/Hook?x=1#part",
        "https://example.com./hook",
        "https://sub_domain.example.co.uk:8443/%20?a=b@c",
        "https://example.com/a@b",
        "https://ⓔⓧⓐⓜⓟⓛⓔ.com/",
        "https://bücher.example/",
        "https://xn--bcher-kva.example/",
        "https://1.1.1.1/",
        "https://100.128.0.1/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://localhost.example.com/",
        "https://internal.example.com/",
        "https://scm.azurewebsites.net/",
        "https://app.azurewebsites.net.example.com/",
        "https://example.com:443/",
        "https://example.com:80/",
        "https://example.com:65535/",
    ] {
        for policy in [on_azure(), laptop()] {
            let endpoint = policy.check(good).unwrap_or_else(|e| panic!("{good} {e}"));
            assert_eq!(endpoint.as_str(), good, "the endpoint keeps the caller's text");
            assert!(!policy.check_url(good).unwrap().only_allowed_networks, "{good}");
        }
    }
}

const NOT_HTTP_URLS: [&str; 47] = [
    "example.com",
    "/hook",
    "//example.com/",
    "ftp://example.com/",
    "gopher://example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "blob:https://example.com/1",
    "wss://example.com/",
    "https://",
    "https://?x",
    "https:///example.com/",
    "https:////example.com/",
    "https:example.com",
    "https:/example.com",
    "https:/\\example.com",
    "https:\\\\example.com",
    "https://example.com\\@example.org/",
    "https://exa mple.com/",
    "https://exa\tmple.com/",
    " https://example.com/",
    "https://example.com/\n",
    "https://example.com/\u{a0}",
    "https://example.com/\u{3000}",
    "https://example.com/\u{85}",
    "https://example.com:65536/",
    "https://example.com:-1/",
    "https://example.com:443:443/",
    "https://[::1",
    "https://[::1]x/",
    "https://[fe80::1%25eth0]/",
    "https://::1/",
    "https://127.0.0.1.1/",
    "https://1.2.3.256/",
    "https://a.0x/",
    "https://xn--a/",
    "https://xn--/",
    "https://exa<mple.com/",
    "https://example..com/",
    "https://.example.com/",
    "https://example.com../",
    "https://./",
    "https://*.example.com/",
    "https://exa$mple.com/",
    "https://example%2ecom%2f.org/",
    "https://example.com%00.org/",
];

#[test]
fn a_text_that_is_not_an_http_url_is_refused() {
    for bad in NOT_HTTP_URLS {
        assert!(!refusal(&on_azure(), bad).is_empty());
        assert!(laptop().check(bad).is_err(), "{bad}");
    }
}

#[test]
fn labels_names_and_urls_that_are_too_long_are_refused() {
    let label = "a".repeat(64);
    assert!(on_azure().check(&format!("https://{label}.example.com/")).is_err());
    assert!(on_azure().check(&format!("https://{}example.com/", "a.".repeat(122))).is_err());
    let path = |bytes: usize| format!("https://example.com/{}", "a".repeat(bytes - 20));
    assert!(on_azure().check(&path(2048)).is_ok());
    assert!(refusal(&on_azure(), &path(2049)).contains("2048"));
}

#[test]
fn credentials_in_the_url_are_refused() {
    for bad in [
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://:password@example.com/",
        "https://@example.com/",
        "https://:@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com%40127.0.0.1@example.org/",
        "https://a@b@example.com/",
    ] {
        assert!(refusal(&on_azure(), bad).contains("Authorization"), "{bad}");
    }
}

#[test]
fn names_that_exist_only_in_an_internal_network_are_refused() {
    for bad in [
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://loc%61lhost/",
        "https://local\u{ad}host/",
        "https://ｌｏｃａｌｈｏｓｔ/",
        "https://localhost.localdomain/",
        "https://redis/",
        "https://redis./",
        "https://com/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://vm1.internal.cloudapp.net.internal./",
        "https://nas.home.arpa/",
        "https://home.arpa/",
        "https://wiki.corp/",
        "https://kubernetes.default.svc.cluster.local/",
    ] {
        assert!(refusal(&on_azure(), bad).contains("internal network"), "{bad}");
    }
}

#[test]
fn the_service_does_not_call_itself_or_its_deployment_site() {
    for bad in [
        "https://app.azurewebsites.net/",
        "https://APP.azurewebsites.net.:8443/",
        "https://app.scm.azurewebsites.net/api/vfs/",
        "https://app.SCM.azurewebsites.net./",
    ] {
        assert!(refusal(&on_azure(), bad).contains("itself"), "{bad}");
        assert!(with_networks(&["0.0.0.0/0", "::/0"]).check(bad).is_err(), "also if all networks are allowed: {bad}");
    }
    let regional =
        EndpointPolicy { own_hosts: vec!["app-1a2b.westeurope-01.azurewebsites.net.".to_owned()], ..laptop() };
    assert!(regional.check("https://app-1a2b.scm.westeurope-01.azurewebsites.net/").is_err());
    assert!(regional.check("https://app-1a2b.westeurope-01.azurewebsites.net/").is_err());
    assert!(regional.check("https://app.azurewebsites.net/").is_ok());
}

#[test]
fn deployment_slots_and_their_deployment_sites_are_the_service_itself() {
    let with_app = |host: &str, app: Option<&str>| EndpointPolicy {
        own_app: AzureApp::of_host(host, app),
        ..EndpointPolicy::default()
    };
    let classic = with_app("App.azurewebsites.net", None);
    let in_slot = with_app("app-staging.azurewebsites.net", Some("app"));
    let regional = with_app("app-1a2b.westeurope-01.azurewebsites.net", Some("app"));
    for policy in [&classic, &in_slot] {
        for own in ["app", "APP", "app-staging", "app-a-b", "app.scm", "app-staging.scm"] {
            let refusal = refusal(policy, &format!("https://{own}.azurewebsites.net/"));
            assert!(refusal.contains("deployment slots") && refusal.contains("custom domain"), "{own}: {refusal}");
        }
        for other in ["application", "ap", "my-app", "other-app-staging", "app-staging.example", "app.other"] {
            let endpoint = format!("https://{other}.azurewebsites.net/");
            assert!(policy.check(&endpoint).is_ok(), "{endpoint}");
        }
        assert!(policy.check("https://app-staging.example.com/").is_ok());
    }
    for own in ["app-1a2b", "app-staging-9z8y", "app-staging-9z8y.scm"] {
        assert!(regional.check(&format!("https://{own}.westeurope-01.azurewebsites.net/")).is_err(), "{own}");
    }
    assert!(regional.check("https://app-staging-9z8y.eastus-01.azurewebsites.net/").is_ok());
}

#[test]
fn a_loopback_name_is_judged_like_a_loopback_address() {
    let names = ["localhost", "localhost.", "x.localhost", "a.b.localhost.", "LOCALHOST", "loc%61lhost"];
    for name in names {
        let endpoint = format!("http://{name}:1/");
        for open in [laptop(), with_networks(&["127.0.0.1/32"]), with_networks(&["::1/128"])] {
            assert!(open.check_url(&endpoint).unwrap().only_allowed_networks, "{name}");
        }
        for closed in [&[][..], &["10.0.0.0/8"], &["127.0.0.2/32"], &["fd00::/8"]] {
            assert!(with_networks(closed).check(&endpoint).is_err(), "{name} with {closed:?}");
            assert!(with_networks(closed).check(&endpoint.replace("http:", "https:")).is_err(), "{name}");
        }
    }
    for other in ["xlocalhost", "localhost.example.com", "localhost.localdomain"] {
        assert!(!is_loopback_name(other), "{other}");
    }
}

#[test]
fn an_address_that_is_not_on_the_internet_is_refused_however_it_is_written() {
    for bad in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://%31%32%37%2e0.0.1/",
        "https://127。0。0。1/",
        "https://127.0.0.1./",
        "https://0/",
        "https://0x/",
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/machine?comp=goalstate",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:168.63.129.16]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00:ec2::254]/",
    ] {
        assert!(refusal(&on_azure(), bad).contains("only hosts on the internet"), "{bad}");
    }
}

#[test]
fn ports_of_other_protocols_are_refused() {
    for port in [0, 1, 9, 22, 25, 53, 110, 143, 587, 6000, 6667, 10080] {
        assert!(refusal(&laptop(), &format!("https://example.com:{port}/")).contains(&port.to_string()));
        assert!(laptop().check(&format!("http://127.0.0.1:{port}/")).is_ok(), "an allowed network is exempt");
    }
    assert!(is_bad_port(10080) && !is_bad_port(443) && !is_bad_port(8080));
}

#[test]
fn plain_http_is_for_the_allowed_networks() {
    for good in [
        "http://127.0.0.1:9/",
        "https://127.0.0.1:9/",
        "http://127.1/",
        "http://localhost:1",
        "http://inbox.localhost:1",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]/",
    ] {
        assert!(laptop().check_url(good).unwrap().only_allowed_networks, "{good}");
        assert!(on_azure().check(good).is_err(), "{good}");
    }
    for bad in ["http://example.com/", "http://128.0.0.1/", "http://10.0.0.1/", "http://[::2]/", "http://receiver/"] {
        assert!(laptop().check(bad).is_err(), "{bad}");
    }
}

#[test]
fn internal_names_are_accepted_where_a_network_beyond_loopback_is_allowed() {
    let compose = with_networks(&["172.16.0.0/12"]);
    for good in ["http://receiver:3000/", "https://receiver.internal/", "http://172.18.0.3:3000/"] {
        assert!(compose.check_url(good).unwrap().only_allowed_networks, "{good}");
    }
    for bad in ["http://example.com/", "http://10.0.0.1/", "http://127.0.0.1/"] {
        assert!(compose.check(bad).is_err(), "{bad}");
    }
    assert!(!compose.check_url("https://example.com/").unwrap().only_allowed_networks);
}

proptest! {
    #[test]
    fn an_accepted_endpoint_has_one_reading(text in "https?://[a-zA-Z0-9@:/?#\\[\\].%\\\\ -]{0,40}") {
        if let Ok(endpoint) = laptop().check(&text) {
            let url = Url::parse(endpoint.as_str()).unwrap();
            prop_assert!(url.has_host() && url.username().is_empty() && url.password().is_none());
            prop_assert!(url.scheme() == "https" || laptop().check_url(&text).unwrap().only_allowed_networks);
            // A simple reader that splits the text finds a host without user information, as the parser does.
            let authority = text.split("://").nth(1).unwrap().split(['/', '?', '#']).next().unwrap();
            prop_assert!(!authority.contains('@') && !authority.is_empty());
        }
    }

    #[test]
    fn no_spelling_of_a_denied_address_is_accepted(bits: u32, spelling in 0..5_u8) {
        let [a, b, c, d] = bits.to_be_bytes();
        let host = match spelling {
            0 => format!("{a}.{b}.{c}.{d}"),
            1 => bits.to_string(),
            2 => format!("{bits:#x}"),
            3 => format!("0{a:o}.{b:#x}.{}", u16::from_be_bytes([c, d])),
            _ => format!("[::ffff:{a}.{b}.{c}.{d}]"),
        };
        let allowed = classify(IpAddr::from([a, b, c, d])) == Verdict::Allowed;
        prop_assert_eq!(on_azure().check(&format!("https://{host}/")).is_ok(), allowed, "{}", host);
    }

    #[test]
    fn the_check_never_panics(text in ".{0,60}") {
        let _ = on_azure().check(&text);
        let _ = laptop().check(&format!("https://{text}"));
    }
}

#[test]
fn the_origin_has_no_path_no_query_and_no_credentials() {
    for (url, origin) in [
        ("https://hooks.example/services/canary", "https://hooks.example"),
        ("https://Hooks.example:8443", "https://Hooks.example:8443"),
        ("https://hooks.example?canary", "https://hooks.example"),
        ("https://hooks.example#canary", "https://hooks.example"),
        ("http://[::1]:80/canary@x", "http://[::1]:80"),
        ("https://hooks.example\\canary", "https://hooks.example"),
        ("https://user:canary@hooks.example/", ""),
        ("canary", ""),
        ("", ""),
    ] {
        assert_eq!(Endpoint::from_stored(url.to_owned()).origin(), origin, "{url}");
    }
}
