//! The requests of programs that no test can start: their documents, registrations and addresses, as they are published
//! and as others have recorded them.

use reqwest::Url;
use serde_json::json;

use crate::support::app::{BareApi, CLIENT, KEY};
use crate::support::internet;
use crate::support::login::{BOTH, Program, allowing, text};

/// The documents, each with the addresses to which its program returns.
const DOCUMENTS: [(&str, &[&str]); 7] = [
    ("https://claude.ai/oauth/mcp-oauth-client-metadata", &["https://claude.ai/api/mcp/auth_callback"]),
    ("https://claude.ai/oauth/claude-code-client-metadata", &["http://localhost:63664/callback"]),
    ("https://chatgpt.com/oauth/client.json", &["https://chatgpt.com/connector_platform_oauth_redirect"]),
    ("https://chatgpt.com/oauth/codex/client.json", &["http://127.0.0.1:35333/callback"]),
    ("https://vscode.dev/oauth/client-metadata.json", &["http://127.0.0.1:33418/", "https://vscode.dev/redirect"]),
    (
        "https://cursor.com/oauth/mcp-client.json",
        &["http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback"],
    ),
    ("https://opencode.ai/oauth/opencode/client.json", &["http://127.0.0.1:19876/callback"]),
];

/// The registrations: a name, the registered addresses, and those to which the program returns.
const REGISTRATIONS: [(&str, &[&str], &[&str]); 5] = [
    ("Claude", &["https://claude.ai/api/mcp/auth_callback"], &["https://claude.ai/api/mcp/auth_callback"]),
    ("Claude", &["https://claude.com/api/mcp/auth_callback"], &["https://claude.com/api/mcp/auth_callback"]),
    (
        "ChatGPT",
        &["https://chatgpt.com/connector/oauth/BKj9umzr4ef_"],
        &["https://chatgpt.com/connector/oauth/BKj9umzr4ef_"],
    ),
    (
        "Visual Studio Code",
        &[
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ],
        &["http://127.0.0.1:33418/", "http://127.0.0.1:51234/", "https://vscode.dev/redirect"],
    ),
    (
        "Cursor",
        &[
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        &["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback"],
    ),
];

/// Logs in as the program does that returns to this address, and lists conversations.
async fn gets_in(program: &Program, address: &str) {
    let resource = format!("{}/mcp", program.base);
    let page = program.open(&[("redirect_uri", address), ("resource", &resource)]).await;
    assert_eq!(page.answer.status, 200, "{} {address}: {}", program.id, page.answer.text);
    let answer = program.submit(&page, &allowing(CLIENT, KEY, BOTH)).await;
    assert_eq!(answer.status, 303, "{} {address}: {}", program.id, answer.text);
    let back = Url::parse(answer.header("location")).unwrap();
    assert!(back.as_str().starts_with(&format!("{address}?")), "{back}");
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let tokens = program.exchange(&code, &[("redirect_uri", address), ("resource", &resource)]).await;
    assert_eq!(tokens.status, 200, "{} {address}: {}", program.id, tokens.text);
    let tokens = tokens.json();
    assert_eq!(program.call(text(&tokens, "access_token")).await.status, 200);
    let renewed = program.refresh(text(&tokens, "refresh_token"), &[("resource", &resource)]).await;
    assert_eq!(renewed.status, 200, "{} {address}: {}", program.id, renewed.text);
}

#[tokio::test]
async fn programs_get_in_by_the_documents_that_they_publish() {
    let api = BareApi { documents: internet::documents().await, ..BareApi::new() }.start().await;
    for (id, addresses) in DOCUMENTS {
        for address in addresses {
            gets_in(&Program::with_id(api.address, id), address).await;
        }
    }
}

#[tokio::test]
async fn programs_get_in_by_the_registrations_that_they_send() {
    let api = BareApi::new().start().await;
    for (name, registered, addresses) in REGISTRATIONS {
        let mut program = Program::with_id(api.address, "");
        let metadata = json!({
            "client_name": name, "redirect_uris": registered, "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
        });
        let answer = program.register(&metadata).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.text);
        text(&answer.json(), "client_id").clone_into(&mut program.id);
        for address in addresses {
            gets_in(&program, address).await;
        }
    }
}
