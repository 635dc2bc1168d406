use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::super::VaultError;
use super::*;
use crate::current::Current;
use crate::domain::Secret;
use crate::time::SystemEntropy;

const LATENCY: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 5] =
    ["SCHEDULER-CLIENT-ID", "SCHEDULER-API-KEY", "JWT-SIGNING-KEYS", "WEBHOOK-SIGNING-SECRETS", "DATA-ENCRYPTION-KEYS"];

/// A vault in memory. Each answer takes `LATENCY`.
#[derive(Default)]
struct FakeVault {
    secrets: Mutex<HashMap<&'static str, String>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl SecretStore for FakeVault {
    async fn get(&self, name: &str) -> Result<Secret<String>, VaultError> {
        self.asked.lock().unwrap().push(name.to_owned());
        sleep(LATENCY).await;
        self.secrets.lock().unwrap().get(name).cloned().map(Secret::new).ok_or(VaultError::NotFound)
    }
}

impl FakeVault {
    fn full() -> Arc<Self> {
        let vault = Arc::new(Self::default());
        for (name, text) in NAMES.into_iter().zip([
            "ann".to_owned(),
            "the key of ann".replace(' ', "-") + "-1234",
            jwt("k1"),
            webhook('a'),
            jwt("d1"),
        ]) {
            vault.put(name, &text);
        }
        vault
    }

    fn put(&self, name: &'static str, text: &str) {
        self.secrets.lock().unwrap().insert(name, text.to_owned());
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn jwt(kid: &str) -> String {
    format!("{kid}:{}", "ab".repeat(32))
}

fn webhook(c: char) -> String {
    format!("whsec_{}", c.to_string().repeat(40))
}

fn secrets(vault: &Arc<FakeVault>, settings: &[(&str, &str)]) -> VaultSecrets {
    let platform = [
        ("KEYVAULT_URI", "https://kv.vault.azure.net"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1"),
        ("IDENTITY_HEADER", "h"),
    ];
    let config = Config::from_vars(|name| {
        let found = settings.iter().chain(&platform).find(|(setting, _)| *setting == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    VaultSecrets::new(&config.unwrap(), Arc::clone(vault) as _, Arc::new(SystemEntropy::new()))
}

/// The secrets of a vault, while the task that refreshes them runs.
async fn running(vault: &Arc<FakeVault>) -> (Secrets, JoinHandle<()>) {
    let (secrets, refresher) = secrets(vault, &[]).read().await;
    (secrets, tokio::spawn(refresher.run()))
}

fn shown<T: std::fmt::Debug>(current: &Current<T>) -> String {
    format!("{:?}", current.get())
}

#[tokio::test(start_paused = true)]
async fn all_secrets_are_read_at_one_time() {
    let (vault, began) = (FakeVault::full(), Instant::now());
    let (read, _) = secrets(&vault, &[]).read().await;
    assert_eq!(began.elapsed(), LATENCY);
    assert_eq!(vault.asked(), NAMES);
    assert_eq!((read.client.get().id.as_str(), shown(&read.signing_keys)), ("ann", r#"["k1"]"#.to_owned()));
    assert!(read.client.get().scopes.contains(crate::domain::Scope::Operator));
    assert_eq!(
        (shown(&read.signing_secrets), shown(&read.encryption_keys)),
        ("[1 secrets]".to_owned(), r#"["d1"]"#.to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn each_setting_wins_over_the_secret_of_its_name() {
    let settings = [
        ("SCHEDULER_CLIENT_ID", "bob".to_owned()),
        ("SCHEDULER_API_KEY", "the-key-of-bob-1234".to_owned()),
        ("JWT_SIGNING_KEYS", jwt("own")),
        ("WEBHOOK_SIGNING_SECRETS", webhook('b')),
        ("DATA_ENCRYPTION_KEYS", jwt("own")),
    ];
    for (own, (setting, value)) in settings.iter().enumerate() {
        let vault = FakeVault::full();
        let (read, refresher) = secrets(&vault, &[(*setting, value)]).read().await;
        let others: Vec<_> = NAMES.into_iter().filter(|name| *name != NAMES[own]).collect();
        assert_eq!(vault.asked(), others, "{setting}");
        let before = (shown(&read.signing_keys), shown(&read.encryption_keys), read.client.get().id.to_string());
        assert_eq!(before.0.contains("own"), own == 2);
        assert_eq!(before.1.contains("own"), own == 4);
        assert_eq!(before.2 == "bob", own == 0);
        tokio::spawn(refresher.run());
        sleep(Refresher::EVERY + SECOND).await;
        assert_eq!(vault.asked(), others, "{setting}: the refresh does not read it either");
    }
}

#[tokio::test(start_paused = true)]
async fn the_start_tries_until_it_has_all_secrets() {
    let vault = FakeVault::full();
    vault.secrets.lock().unwrap().remove("JWT-SIGNING-KEYS");
    vault.put("SCHEDULER-API-KEY", "short");
    let reading = tokio::spawn(secrets(&vault, &[]).read());
    sleep(Duration::from_mins(5)).await;
    assert!(!reading.is_finished());
    let readings = vault.asked().len() / NAMES.len();
    assert!((8..=16).contains(&readings), "{readings}");
    vault.put("JWT-SIGNING-KEYS", &jwt("k1"));
    vault.put("SCHEDULER-API-KEY", "long-enough-to-be-a-key");
    let began = Instant::now();
    reading.await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(31));
}

#[tokio::test(start_paused = true)]
async fn the_secrets_are_read_again_every_ten_minutes() {
    let vault = FakeVault::full();
    let (read, _task) = running(&vault).await;
    let began = Instant::now();
    let key = read.client.get().key_hashes.clone();
    vault.put("JWT-SIGNING-KEYS", &format!("{},{}", jwt("k2"), jwt("k1")));
    vault.put("WEBHOOK-SIGNING-SECRETS", &format!("{} {}", webhook('b'), webhook('a')));
    vault.put("DATA-ENCRYPTION-KEYS", &format!("{},{}", jwt("d1"), jwt("d2")));
    vault.put("SCHEDULER-API-KEY", "another-key-of-ann-12345");
    sleep(Duration::from_secs(599)).await;
    assert_eq!(shown(&read.signing_keys), r#"["k1"]"#);
    sleep(2 * SECOND).await;
    assert_eq!(shown(&read.signing_keys), r#"["k2", "k1"]"#);
    assert_eq!(shown(&read.signing_secrets), "[2 secrets]");
    assert_eq!(shown(&read.encryption_keys), r#"["d1", "d2"]"#);
    assert_ne!(read.client.get().key_hashes, key);
    vault.put("SCHEDULER-CLIENT-ID", "bob");
    sleep(Refresher::EVERY).await;
    assert_eq!(read.client.get().id.as_str(), "bob");
    vault.asked();
    sleep(6 * Refresher::EVERY).await;
    assert_eq!(vault.asked().len(), 6 * NAMES.len(), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_has_not_changed_stays_the_same_value() {
    let vault = FakeVault::full();
    let (read, _task) = running(&vault).await;
    let client = read.client.get();
    sleep(3 * Refresher::EVERY).await;
    // Its hash has a random salt, so another value would end each login that is under way.
    assert!(Arc::ptr_eq(&client, &read.client.get()));
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_fails_keeps_the_last_good_value_and_is_repeated_after_a_minute() {
    let vault = FakeVault::full();
    let (read, _task) = running(&vault).await;
    for wrong in [None, Some("canary"), Some("k1:canary"), Some("")] {
        match wrong {
            None => drop(vault.secrets.lock().unwrap().remove("JWT-SIGNING-KEYS")),
            Some(text) => vault.put("JWT-SIGNING-KEYS", text),
        }
        vault.put("DATA-ENCRYPTION-KEYS", &jwt(&format!("d-{}", wrong.map_or(0, str::len))));
        sleep(Refresher::EVERY + SECOND).await;
        assert_eq!(shown(&read.signing_keys), r#"["k1"]"#, "{wrong:?}");
        let other = format!(r#"["d-{}"]"#, wrong.map_or(0, str::len));
        assert_eq!(shown(&read.encryption_keys), other, "the others are read all the same");
    }
    vault.put("JWT-SIGNING-KEYS", &jwt("k2"));
    sleep(Refresher::AFTER_FAILURE + SECOND).await;
    assert_eq!(shown(&read.signing_keys), r#"["k2"]"#);
}

#[tokio::test(start_paused = true)]
async fn an_error_names_the_secret_and_never_its_value() {
    for (name, wrong) in NAMES.into_iter().zip(["can ary", "canary", "k1:canary", "whsec_canary", "d1:canary"]) {
        let vault = FakeVault::full();
        vault.put(name, wrong);
        let error = secrets(&vault, &[]).read_once().await.err().unwrap();
        assert!(error.contains(&format!("\n  {name}: its text in the vault ")), "{error}");
        assert!(!error.contains("canary") && !error.contains("can ary"), "{error}");
    }
    let vault = FakeVault::full();
    vault.secrets.lock().unwrap().remove("JWT-SIGNING-KEYS");
    let error = secrets(&vault, &[]).read_once().await.err().unwrap();
    assert!(error.contains("\n  JWT-SIGNING-KEYS: the vault has no secret of this name (404)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn whoever_misses_a_key_has_the_vault_read_at_once_but_not_more_often_than_every_30_seconds() {
    let vault = FakeVault::full();
    let (read, _task) = running(&vault).await;
    vault.asked();
    vault.put("JWT-SIGNING-KEYS", &jwt("k2"));
    let began = Instant::now();
    read.refresh.ask_and_wait().await;
    assert_eq!((began.elapsed(), shown(&read.signing_keys)), (LATENCY, r#"["k2"]"#.to_owned()));

    vault.put("JWT-SIGNING-KEYS", &jwt("k3"));
    vault.asked();
    let asked_again = Instant::now();
    for _ in 0..1000 {
        read.refresh.ask_and_wait().await;
    }
    assert_eq!((asked_again.elapsed(), vault.asked().len()), (Duration::ZERO, 0));
    sleep(Refresher::MIN_PAUSE).await;
    let flood: Vec<_> = (0..1000)
        .map(|_| {
            tokio::spawn({
                let refresh = read.refresh.clone();
                async move { refresh.ask_and_wait().await }
            })
        })
        .collect();
    for request in flood {
        request.await.unwrap();
    }
    assert_eq!((vault.asked().len(), shown(&read.signing_keys)), (NAMES.len(), r#"["k3"]"#.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_vault_that_does_not_answer() {
    struct Silent;
    #[async_trait]
    impl SecretStore for Silent {
        async fn get(&self, _: &str) -> Result<Secret<String>, VaultError> {
            std::future::pending().await
        }
    }
    let vault = FakeVault::full();
    let (read, mut refresher) = secrets(&vault, &[]).read().await;
    refresher.secrets.store = Arc::new(Silent);
    tokio::spawn(refresher.run());
    let began = Instant::now();
    read.refresh.ask_and_wait().await;
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}
