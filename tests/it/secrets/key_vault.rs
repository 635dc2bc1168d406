//! The client of the vault, over TLS, and each answer that a vault can give.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::config::Config;
use mcp_scheduler::secrets::{KeyVault, SecretStore as _, VaultError};
use mcp_scheduler::time::SystemClock;
use tokio::time::Instant;
use tracing::Level;

use crate::support::captured_log::CapturedLog;
use crate::support::key_vault::{Answer, IDENTITY_HEADER, Vault};

const NAME: &str = "JWT-SIGNING-KEYS";
const VALUE: &str = "k1:canary-value";

fn client(vault: &Vault, settings: &[(&str, &str)], trusted: Option<reqwest::Certificate>) -> KeyVault {
    let config = Config::from_vars(|name| {
        let of_vault = vault.settings.iter().map(|(name, value)| (*name, value.as_str()));
        settings.iter().copied().chain(of_vault).find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    });
    let mut config = config.unwrap().key_vault.unwrap();
    config.authority = trusted;
    KeyVault::new(&config, Arc::new(SystemClock)).unwrap()
}

/// A vault with one secret, and its client.
async fn vault() -> (Vault, KeyVault) {
    let vault = Vault::start().await;
    vault.put(NAME, VALUE);
    let client = client(&vault, &[], vault.certificate());
    (vault, client)
}

async fn get(client: &KeyVault) -> Result<String, VaultError> {
    client.get(NAME).await.map(|secret| secret.expose().clone())
}

#[tokio::test]
async fn a_secret_is_read_over_tls_with_one_token_for_many_requests() {
    let (vault, client) = vault().await;
    for _ in 0..3 {
        assert_eq!(get(&client).await.as_deref(), Ok(VALUE));
    }
    assert_eq!(vault.asked(), [NAME; 3]);
    assert_eq!(vault.identity_asked(), ["/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net"]);
}

#[tokio::test]
async fn an_identity_of_the_user_is_asked_for_by_its_client_id() {
    let vault = Vault::start().await;
    vault.put(NAME, VALUE);
    for setting in ["AZURE_CLIENT_ID", "AzureWebJobsStorage__clientId"] {
        assert_eq!(get(&client(&vault, &[(setting, "0000-1111")], vault.certificate())).await.as_deref(), Ok(VALUE));
        assert!(vault.identity_asked()[0].ends_with("&client_id=0000-1111"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_with_a_certificate_of_a_stranger_gets_no_token() {
    let vault = Vault::start().await;
    vault.put(NAME, VALUE);
    assert_eq!(get(&client(&vault, &[], None)).await, Err(VaultError::NoResponse));
    assert_eq!(vault.asked().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_failure_of_a_vault_is_an_error_of_its_own() {
    let (vault, client) = vault().await;
    for (answer, error, tries) in [
        (Answer::Status(401), VaultError::Unauthorized, 3),
        (Answer::Status(403), VaultError::Forbidden(" CauseOfTheVault".to_owned()), 1),
        (Answer::Status(404), VaultError::NotFound, 1),
        (Answer::Status(429), VaultError::Throttled, 3),
        (Answer::Status(500), VaultError::Status(500), 3),
        (Answer::Status(503), VaultError::Status(503), 3),
        (Answer::Status(302), VaultError::Status(302), 3),
        (Answer::Silence, VaultError::NoResponse, 3),
        (Answer::Body(""), VaultError::Garbage, 3),
        (Answer::Body("<html>canary"), VaultError::Garbage, 3),
        (Answer::Body(r#"{"value":7}"#), VaultError::Garbage, 3),
        (Answer::Body(r#"{"id":"canary"}"#), VaultError::Garbage, 3),
    ] {
        vault.answer_next(&[answer; 3][..tries]);
        let began = Instant::now();
        let result = get(&client).await;
        assert_eq!(result, Err(error), "{answer:?}");
        assert!(!result.unwrap_err().to_string().contains("canary"));
        assert_eq!(vault.asked().len(), tries, "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(18), "{answer:?} took {:?}", began.elapsed());
        assert_eq!(get(&client).await.as_deref(), Ok(VALUE), "the next one succeeds");
        vault.asked();
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_without_an_end_is_not_read() {
    let (vault, client) = vault().await;
    let endless: &'static str = Box::leak((r#"{"value":"x"}"#.to_owned() + &" ".repeat(10 << 20)).into_boxed_str());
    vault.answer_next(&[Answer::Body(endless); 3]);
    assert_eq!(get(&client).await, Err(VaultError::Garbage));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_costs_a_try() {
    let (vault, client) = vault().await;
    for answer in [Answer::Status(429), Answer::Status(500), Answer::Silence, Answer::Body("garbage")] {
        vault.answer_next(&[answer, answer]);
        assert_eq!(get(&client).await.as_deref(), Ok(VALUE), "{answer:?}");
        assert_eq!(vault.asked().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_vault_asks_for_is_kept_up_to_a_bound() {
    let (vault, client) = vault().await;
    for (asked, pause) in [(0, 0), (4, 4), (3600, 10)] {
        vault.answer_next(&[Answer::RetryAfter(asked)]);
        let began = Instant::now();
        assert_eq!(get(&client).await.as_deref(), Ok(VALUE));
        let took = began.elapsed().as_secs();
        assert!((pause..=pause + 1).contains(&took), "{asked} s asked, {took} s waited");
    }
}

#[tokio::test]
async fn a_token_that_the_vault_refuses_is_replaced() {
    let (vault, client) = vault().await;
    assert_eq!(get(&client).await.as_deref(), Ok(VALUE));
    vault.revoke_token();
    assert_eq!(get(&client).await.as_deref(), Ok(VALUE));
    assert_eq!((vault.asked().len(), vault.identity_asked().len()), (3, 2));
}

#[tokio::test]
async fn no_log_has_a_secret_a_token_or_a_text_of_the_vault() {
    let (vault, client) = vault().await;
    let (log, _guard) = CapturedLog::start(Level::TRACE);
    vault.answer_next(&[Answer::Status(401), Answer::Body("canary-garbage")]);
    assert_eq!(get(&client).await.as_deref(), Ok(VALUE));
    let log = log.text();
    assert!(log.contains("a secret was not read; trying again"), "{log}");
    assert!(!log.contains("canary") && !log.contains(IDENTITY_HEADER), "{log}");
}
