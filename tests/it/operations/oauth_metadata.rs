//! `oauthMetadata`, `protectedResource` and `protectedMcpResource`

use http::Method;
use serde_json::{Value, json};

use crate::support::app::{CLIENT, KEY, TestApp};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

const SERVER: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const MCP_RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";

/// Reads what anybody may, by a name of the service.
async fn read(client: &ApiClient, path: &str, host: Option<&str>) -> Value {
    let request = client.anonymous(Method::GET, path);
    let answer = Answer::to(match host {
        Some(host) => request.header("host", host),
        None => request,
    });
    let answer = answer.await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn all_links_lead_to_the_public_url_whatever_the_caller_calls_it() {
    let app = TestApp::start_with(&[("PUBLIC_URL", "https://scheduler.example.com")]).await;
    let client = app.client();
    for host in [None, Some("evil.example"), Some("localhost")] {
        golden::check("oauth-metadata", &read(&client, SERVER, host).await);
        golden::check("protected-resource", &read(&client, RESOURCE, host).await);
        golden::check("protected-mcp-resource", &read(&client, MCP_RESOURCE, host).await);
    }
    let refused = Answer::to(client.anonymous(Method::GET, "/api/scheduler").header("host", "evil.example")).await;
    let metadata = r#"Bearer resource_metadata="https://scheduler.example.com/.well-known/oauth-protected-resource""#;
    assert_eq!(refused.header("www-authenticate"), metadata);
}

#[tokio::test]
async fn a_function_app_is_called_what_the_platform_calls_it() {
    let app = TestApp::start_with(&[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]).await;
    let resource = read(&app.client(), RESOURCE, None).await["resource"].clone();
    assert_eq!(resource, "https://app.azurewebsites.net");
}

#[tokio::test]
async fn on_a_laptop_each_name_of_the_machine_leads_to_itself() {
    let app = TestApp::start().await;
    let (client, port) = (app.client(), app.address.port());
    for (host, origin) in [
        (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}")),
        (format!("localhost:{port}"), format!("http://localhost:{port}")),
        (format!("[::1]:{port}"), format!("http://[::1]:{port}")),
        ("evil.example".to_owned(), format!("http://127.0.0.1:{port}")),
        (format!("evil.example:{port}"), format!("http://127.0.0.1:{port}")),
    ] {
        let mcp = read(&client, MCP_RESOURCE, Some(&host)).await;
        assert_eq!(mcp["resource"], format!("{origin}/mcp"), "{host}");
        assert_eq!(mcp["authorization_servers"], json!([origin]), "{host}");
        let server = read(&client, SERVER, Some(&host)).await;
        assert_eq!(server["issuer"], origin, "{host}");
        assert_eq!(server["token_endpoint"], format!("{origin}/oauth/token"), "{host}");
    }
}

/// Lists conversations, as a client that knows an address, a client id and a key, and nothing of us. The service says
/// that it is at this base.
pub async fn list_by_the_links_alone(client: &ApiClient, (id, key): (&str, &str), base: &str) -> Answer {
    let path = |url: &str| url.strip_prefix(base).unwrap_or_else(|| panic!("{url} leads away")).to_owned();
    let refused = Answer::to(client.anonymous(Method::GET, "/api/scheduler")).await;
    let challenge = refused.header("www-authenticate");
    let metadata = challenge.strip_prefix("Bearer resource_metadata=\"").and_then(|c| c.strip_suffix('"')).unwrap();

    let resource = read(client, &path(metadata), None).await;
    let server = resource["authorization_servers"][0].as_str().unwrap();
    // RFC 8414 §3.1 for an issuer without a path.
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

#[tokio::test]
async fn from_a_refusal_to_an_answer_by_the_links_alone() {
    let app = TestApp::start().await;
    let base = format!("http://{}", app.address);
    let answer = list_by_the_links_alone(&app.client(), (CLIENT, KEY), &base).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn other_paths_below_have_nothing() {
    let app = TestApp::start().await;
    for path in ["/mcp/x", "/x", "/", "/MCP"] {
        let request = app.client().anonymous(Method::GET, &format!("{RESOURCE}{path}"));
        Answer::to(request).await.assert_problem(404, "no-such-path");
    }
}
