//! Logs in by the links in the answers alone (RFC 9728, RFC 8414).

use http::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, ApiClient};

pub const SERVER: &str = "/.well-known/oauth-authorization-server";

/// Reads a public document of the service, with this host name in the request.
pub async fn read(client: &ApiClient, path: &str, host: Option<&str>) -> Value {
    let request = client.anonymous(Method::GET, path);
    let answer = Answer::to(match host {
        Some(host) => request.header("host", host),
        None => request,
    });
    let answer = answer.await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Lists conversations, as a client that knows only an address, a client id and a key. All links must start with `base`.
pub async fn list_by_links_alone(client: &ApiClient, (id, key): (&str, &str), base: &str) -> Answer {
    let path = |url: &str| url.strip_prefix(base).unwrap_or_else(|| panic!("{url} leads away")).to_owned();
    let refused = Answer::to(client.anonymous(Method::GET, "/api/scheduler")).await;
    let challenge = refused.header("www-authenticate");
    let metadata = challenge.strip_prefix("Bearer resource_metadata=\"").and_then(|c| c.split('"').next()).unwrap();

    let resource = read(client, &path(metadata), None).await;
    let server = resource["authorization_servers"][0].as_str().unwrap();
    // The metadata of an issuer without a path is there by RFC 8414 §3.1.
    let server = read(client, &format!("{}{SERVER}", path(server)), None).await;
    assert_eq!(server["issuer"], resource["authorization_servers"][0]);
    assert!(server["grant_types_supported"].as_array().unwrap().contains(&json!("client_credentials")));

    let scope = resource["scopes_supported"][0].as_str().unwrap();
    let token = client.anonymous(Method::POST, &path(server["token_endpoint"].as_str().unwrap()));
    let resource = resource["resource"].as_str().unwrap();
    let form = [("grant_type", "client_credentials"), ("scope", scope), ("resource", resource)];
    let token = Answer::unchecked(token.basic_auth(id, Some(key)).form(&form)).await.json();
    assert_eq!(token["scope"], scope);
    let token = token["access_token"].as_str().unwrap();
    Answer::to(client.anonymous(Method::GET, "/api/scheduler").bearer_auth(token)).await
}
