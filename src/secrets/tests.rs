use std::fs;
use std::path::Path;

use super::*;
use crate::domain::{ClientId, Signatures, Timestamp};
use crate::time::SystemEntropy;

const KEY: &str = "a-key-of-an-earlier-release";

fn try_read(dir: &Path, settings: &[(&str, &str)]) -> Result<BootstrapSecrets, SecretFileError> {
    let dir = dir.to_str().unwrap();
    let config = Config::from_vars(|name| {
        let found = settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned());
        found.or_else(|| (name == "SCHEDULER_DATA_DIR").then(|| dir.to_owned()))
    });
    BootstrapSecrets::read(&config.unwrap(), &SystemEntropy::new())
}

fn read(dir: &Path, settings: &[(&str, &str)]) -> BootstrapSecrets {
    try_read(dir, settings).unwrap()
}

fn api_key(secrets: &BootstrapSecrets) -> String {
    secrets.credentials.as_ref().unwrap().api_key.secret().expose().clone()
}

/// A signature of a delivery.
fn signature(secrets: &BootstrapSecrets) -> String {
    secrets.signing_secrets.derive(&ClientId::local()).sign(Signatures::default(), "id", Timestamp::MIN, b"")
}

/// The file of the signing keys.
fn kept(dir: &Path) -> String {
    text(&dir.join("secrets.json"))
}

fn private_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    crate::private_files::make_private_dir(dir.path()).unwrap();
    dir
}

fn write(path: &Path, text: &str) {
    crate::private_files::write_private(path, text.as_bytes()).unwrap();
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn they_are_generated_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    let first = read(&data, &[]);
    let keys = kept(&data);
    let second = read(&data, &[]);
    assert_eq!((api_key(&first), signature(&first), keys), (api_key(&second), signature(&second), kept(&data)));
    let new = |secrets: BootstrapSecrets| secrets.credentials.unwrap().new;
    assert_eq!((new(first), new(second)), (true, false));
}

#[test]
fn a_file_of_a_release_without_encryption_gets_a_key_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    read(dir.path(), &[]);
    let with = kept(dir.path());
    let mut file: serde_json::Value = serde_json::from_str(&with).unwrap();
    assert!(file.as_object_mut().unwrap().remove("dataEncryptionKeys").is_some());
    let without = serde_json::to_string(&file).unwrap();
    write(&dir.path().join("secrets.json"), &without);
    read(dir.path(), &[]);
    let again: serde_json::Value = serde_json::from_str(&kept(dir.path())).unwrap();
    assert_eq!(again["jwtSigningKeys"], file["jwtSigningKeys"]);
    assert!(again["dataEncryptionKeys"].as_str().unwrap().starts_with("local-"));
}

#[test]
fn a_lost_credentials_file_costs_the_api_key_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let before = read(dir.path(), &[]);
    let keys = kept(dir.path());
    fs::remove_file(dir.path().join("credentials.json")).unwrap();
    let after = read(dir.path(), &[]);
    assert_eq!((signature(&before), keys), (signature(&after), kept(dir.path())));
    assert_ne!(api_key(&before), api_key(&after));
}

#[test]
fn the_keys_of_an_earlier_release_are_kept_also_without_their_file() {
    let dir = private_dir();
    let (old, keys) = (dir.path().join("credentials.json"), format!("local:{}", "ab".repeat(32)));
    let secret = format!("whsec_{}", "ab".repeat(20));
    let content = format!(
        r#"{{"clientId":"local","apiKey":"{KEY}","jwtSigningKeys":"{keys}","webhookSigningSecrets":"{secret}"}}"#
    );
    write(&old, &content);
    let first = read(dir.path(), &[]);
    assert_eq!((api_key(&first), text(&old)), (KEY.to_owned(), content));
    let copy = kept(dir.path());
    assert!(copy.contains(&keys) && copy.contains(&secret), "{copy}");
    fs::remove_file(old).unwrap();
    assert_eq!((signature(&first), copy), (signature(&read(dir.path(), &[])), kept(dir.path())));
}

#[test]
fn a_file_from_before_deliveries_were_signed_gets_a_secret_and_keeps_the_rest() {
    let dir = private_dir();
    let keys = format!("local:{}", "ab".repeat(32));
    let content = format!(r#"{{"clientId":"local","apiKey":"{KEY}","jwtSigningKeys":"{keys}"}}"#);
    write(&dir.path().join("credentials.json"), &content);
    let first = read(dir.path(), &[]);
    assert_eq!(api_key(&first), KEY);
    let copy = kept(dir.path());
    assert!(copy.contains(&keys) && copy.contains("\"webhookSigningSecrets\": \"whsec_"), "{copy}");
    assert_eq!((signature(&first), copy), (signature(&read(dir.path(), &[])), kept(dir.path())));
}

#[test]
fn the_file_shows_a_client_only_while_its_key_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let (file, unused) = (dir.path().join("credentials.json"), dir.path().join("credentials.json.unused"));
    let client = [("SCHEDULER_CLIENT_ID", "anna"), ("SCHEDULER_API_KEY", KEY)];
    let key = format!("k1:{}", "ab".repeat(32));
    let secret = format!("whsec_{}", "ab".repeat(20));
    let all = [
        client[0],
        client[1],
        ("JWT_SIGNING_KEYS", &*key),
        ("WEBHOOK_SIGNING_SECRETS", &*secret),
        ("DATA_ENCRYPTION_KEYS", &*key),
    ];
    let local = read(dir.path(), &[]);
    let keys = kept(dir.path());
    for configured in [&client[..], &all] {
        let secrets = read(dir.path(), configured);
        assert_eq!((secrets.client.id.as_str(), secrets.credentials.is_none()), ("anna", true));
        assert!(!file.exists() && unused.exists());
        // The file comes back with its key when the client is valid again.
        let again = read(dir.path(), &[]);
        assert_eq!((api_key(&again), signature(&again)), (api_key(&local), signature(&local)));
        assert_eq!(kept(dir.path()), keys);
        assert!(file.exists() && !unused.exists());
    }
}

#[test]
fn a_configured_client_alone_has_no_credentials_file() {
    let dir = tempfile::tempdir().unwrap();
    let client = [("SCHEDULER_CLIENT_ID", "anna"), ("SCHEDULER_API_KEY", KEY)];
    let first = read(dir.path(), &client);
    assert_eq!(signature(&first), signature(&read(dir.path(), &client)));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["secrets.json"]);
}

#[test]
fn a_configured_key_is_not_generated() {
    let dir = tempfile::tempdir().unwrap();
    let keys = format!("k1:{}", "ab".repeat(32));
    read(dir.path(), &[("JWT_SIGNING_KEYS", &keys)]);
    let kept = kept(dir.path());
    assert!(kept.contains("webhookSigningSecrets") && !kept.contains("jwtSigningKeys"), "{kept}");
}

#[test]
fn with_a_storage_account_the_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("credentials.json"), "{");
    let (keys, secret) = (format!("k1:{}", "ab".repeat(32)), format!("whsec_{}", "ab".repeat(20)));
    let on_azure = [
        ("USE_AZURE_SERVICES", "true"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("SCHEDULER_CLIENT_ID", "anna"),
        ("SCHEDULER_API_KEY", KEY),
        ("JWT_SIGNING_KEYS", &*keys),
        ("WEBHOOK_SIGNING_SECRETS", &*secret),
        ("DATA_ENCRYPTION_KEYS", &*keys),
    ];
    read(dir.path(), &on_azure);
    assert_eq!(text(&dir.path().join("credentials.json")), "{");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_file_is_reported_with_advice_that_costs_nothing_else_and_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    read(dir.path(), &[]);
    for (name, advice) in [("credentials.json", "delete it"), ("secrets.json", "restore it from a backup")] {
        let path = dir.path().join(name);
        let content = text(&path);
        for damaged in ["{", "{}x", r#"{"clientId":"a b","apiKey":"x"}"#, r#"{"jwtSigningKeys":"x"}"#] {
            write(&path, damaged);
            let error = try_read(dir.path(), &[]).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(advice), "{error}");
            assert_eq!(text(&path), damaged);
        }
        write(&path, &content);
    }
    // Without the other file, this one may be the file of an earlier release with all keys.
    fs::remove_file(dir.path().join("secrets.json")).unwrap();
    write(&dir.path().join("credentials.json"), "{");
    let error = try_read(dir.path(), &[]).err().unwrap().to_string();
    assert!(error.contains("restore it from a backup") && !error.contains("delete it"), "{error}");
}
