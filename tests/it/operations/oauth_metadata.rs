//! `oauthMetadata`, `protectedResource` and `protectedMcpResource`

use http::Method;
use serde_json::json;

use crate::support::app::{CLIENT, KEY, TestApp};
use crate::support::client::Answer;
use crate::support::discovery::{SERVER, list_by_links_alone, read};
use crate::support::golden;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const MCP_RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";

#[tokio::test]
async fn all_links_start_with_the_public_url_whatever_the_host_header_says() {
    let app = TestApp::start_with(&[("PUBLIC_URL", "https://scheduler.example.com")]).await;
    let client = app.client();
    for host in [None, Some("evil.example"), Some("localhost")] {
        golden::check("oauth-metadata", &read(&client, SERVER, host).await);
        golden::check("protected-resource", &read(&client, RESOURCE, host).await);
        golden::check("protected-mcp-resource", &read(&client, MCP_RESOURCE, host).await);
    }
    let refused = Answer::to(client.anonymous(Method::GET, "/api/scheduler").header("host", "evil.example")).await;
    let metadata = r#"Bearer resource_metadata="https://scheduler.example.com/.well-known/oauth-protected-resource", scope="conversations:read""#;
    assert_eq!(refused.header("www-authenticate"), metadata);
}

#[tokio::test]
async fn a_function_app_has_the_public_url_of_the_platform() {
    let app = TestApp::start_with(&[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]).await;
    let resource = read(&app.client(), RESOURCE, None).await["resource"].clone();
    assert_eq!(resource, "https://app.azurewebsites.net");
}

#[tokio::test]
async fn without_a_public_url_links_use_the_host_header_if_it_is_local() {
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

#[tokio::test]
async fn a_client_can_log_in_by_the_links_in_the_answers_alone() {
    let app = TestApp::start().await;
    let base = format!("http://{}", app.address);
    let answer = list_by_links_alone(&app.client(), (CLIENT, KEY), &base).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn other_paths_below_the_metadata_are_404() {
    let app = TestApp::start().await;
    for path in ["/mcp/x", "/x", "/", "/MCP"] {
        let request = app.client().anonymous(Method::GET, &format!("{RESOURCE}{path}"));
        Answer::to(request).await.assert_problem(404, "no-such-path");
    }
}
