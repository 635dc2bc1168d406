//! A shared access signature in place of the account's key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_scheduler::store::{AzureNames, AzureStore, StoreError, WakeUp, WakeUpQueue as _, WakeUpReceiver as _};
use ring::hmac;
use url::form_urlencoded;

use crate::store::suite::{commit_one, insert, value_of};
use crate::support::azurite::{self, ACCOUNT, KEY, azurite};

/// Makes an account SAS that allows everything in tables and queues until this time.
fn signature(to: &str) -> String {
    let (permissions, services, types, from, protocol, version) =
        ("raupdwlc", "qt", "sco", "2020-01-01T00:00:00Z", "https,http", "2019-12-12");
    let fields = [ACCOUNT, permissions, services, types, from, to, "", protocol, version, ""].join("\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signed = STANDARD.encode(hmac::sign(&key, fields.as_bytes()));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("sv", version), ("ss", services), ("srt", types), ("sp", permissions)])
        .extend_pairs([("st", from), ("se", to), ("spr", protocol), ("sig", &signed)])
        .finish()
}

fn store_with(signature: &str, names: &AzureNames) -> AzureStore {
    let (tables, queues) = (azurite().tables, azurite().queues);
    let connection = format!(
        "SharedAccessSignature={signature};TableEndpoint=http://{tables}/{ACCOUNT};QueueEndpoint=http://{queues}/{ACCOUNT}"
    );
    azurite::store_at(&connection, names)
}

#[tokio::test]
async fn a_signature_opens_the_tables_and_the_queue() {
    let store = store_with(&signature("2099-01-01T00:00:00Z"), &azurite::fresh_names());
    store.create().await.unwrap();
    let table = store.conversations();
    commit_one(&*table, insert("k", "v")).await.unwrap();
    assert_eq!(value_of(&*table, "k").await.as_deref(), Some("v"));
    let wake_up = WakeUp::Switch("2030-01-31T08:30:00Z".parse().unwrap());
    let queue = store.wake_ups();
    queue.enqueue(&wake_up, Duration::ZERO).await.unwrap();
    let received = queue.receive(1).await.unwrap();
    assert_eq!(received[0].wake_up, wake_up);
    queue.delete(&received[0]).await.unwrap();
}

/// Azurite checks no permissions inside a transaction; it refuses this one because the signature has expired.
#[tokio::test]
async fn a_signature_that_has_ended_commits_nothing_and_is_not_shown() {
    let names = azurite::fresh_names();
    let granted = store_with(&signature("2099-01-01T00:00:00Z"), &names);
    granted.create().await.unwrap();
    let store = store_with(&signature("2021-02-03T00:00:00Z"), &names);
    let error = commit_one(&*store.conversations(), insert("k", "v")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let told = format!("{error} {error:?}");
    assert!(!told.contains("sig=") && !told.contains("2021"), "{told}");
    assert_eq!(value_of(&*granted.conversations(), "k").await, None);
}
