//! The settings, read once from the environment into types.
//!
//! Each file has one concern: it declares the names and defaults of its settings and reads them. All problems are
//! reported together, by the names of the settings. A report never contains the value of a secret.

mod auth;
mod azure;
mod commands;
mod delivery;
mod encryption;
mod key_vault;
mod server;
mod telemetry;
mod vars;

use std::fmt;

use crate::store::{AzureSettings, EncryptionKeys};
pub use auth::AuthConfig;
pub use commands::CommandsConfig;
pub use delivery::DeliveryConfig;
pub use key_vault::KeyVaultConfig;
pub use server::ServerConfig;
pub use telemetry::{LogFormat, TelemetryConfig};
use vars::Vars;

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `USE_AZURE_SERVICES` and `AzureWebJobsStorage`: the storage account. None means the embedded store.
    pub azure: Option<AzureSettings>,
    /// Where the service listens, and where its data directory is.
    pub server: ServerConfig,
    /// The first client, and the tokens that the service issues.
    pub auth: AuthConfig,
    /// Which endpoints a delivery may reach, and how it is signed.
    pub delivery: DeliveryConfig,
    /// `DATA_ENCRYPTION_KEYS`. Without it the first start generates a key.
    pub encryption_keys: Option<EncryptionKeys>,
    /// `KEYVAULT_URI`: the vault that has the secrets which are not set. None if all are set.
    pub key_vault: Option<KeyVaultConfig>,
    /// How much is logged, and in which form.
    pub telemetry: TelemetryConfig,
    /// What the commands know of the person who runs them.
    pub commands: CommandsConfig,
}

/// The names of all settings, with the defaults that a laptop gets.
pub fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    let (server, auth, delivery) = (server::SETTINGS, auth::SETTINGS, delivery::SETTINGS);
    let stored = azure::SETTINGS.into_iter().chain(key_vault::SETTINGS).chain(encryption::SETTINGS);
    stored.chain(server).chain(auth).chain(delivery).chain(telemetry::SETTINGS)
}

/// All problems of the settings.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem{}:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems.
    #[allow(clippy::disallowed_methods)] // the one place that reads the environment
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(|name| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned()))
    }

    /// Reads the settings with a function that looks up one variable. An empty setting counts as not set, except an empty
    /// list of networks.
    ///
    /// # Errors
    /// [`ConfigError`] with all problems.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(&lookup);
        let azure = azure::read(&mut vars);
        vars.has_vault = key_vault::is_named(&vars);
        let server = ServerConfig::read(&mut vars);
        let auth = AuthConfig::read(&mut vars);
        let delivery = DeliveryConfig::read(&mut vars, &server);
        let encryption_keys = encryption::read(&mut vars);
        let has_all = auth.client().is_some()
            && auth.signing_keys.is_some()
            && delivery.signing_secrets.is_some()
            && encryption_keys.is_some();
        let key_vault = key_vault::read(&mut vars, !has_all);
        let telemetry = TelemetryConfig::read(&mut vars);
        let commands = CommandsConfig::read(&vars);
        vars.finish(Self { azure, server, auth, delivery, encryption_keys, key_vault, telemetry, commands })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeSet, HashMap};
    use std::path::PathBuf;

    use super::*;

    pub(super) fn config(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let vars: HashMap<_, _> = vars.iter().copied().collect();
        Config::from_vars(|name| vars.get(name).map(|v| (*v).to_owned()))
    }

    /// What Azure needs at least.
    pub(super) const ON_AZURE: [(&str, &str); 7] = [
        ("USE_AZURE_SERVICES", "true"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("SCHEDULER_CLIENT_ID", "a"),
        ("SCHEDULER_API_KEY", "canary-canary-canary"),
        ("JWT_SIGNING_KEYS", "k1:cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca"),
        ("WEBHOOK_SIGNING_SECRETS", "whsec_cacacacacacacacacacacacacacacacacacacaca"),
        ("DATA_ENCRYPTION_KEYS", "d1:cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca"),
    ];

    #[test]
    fn a_laptop_needs_no_settings() {
        let config = config(&[]).unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.server.data_dir, PathBuf::from(".scheduler"));
        assert!(config.auth.client().is_none() && config.auth.signing_keys.is_none());
        assert_eq!(config.auth.tokens.ttl_seconds, 3600);
        assert!(config.delivery.endpoints.check("http://127.0.0.1:1/").is_ok());
    }

    #[test]
    fn every_variable_that_is_read_is_a_listed_setting_or_set_by_the_platform() {
        let read = RefCell::new(BTreeSet::new());
        let identity = HashMap::from([
            ("USE_AZURE_SERVICES", "true"),
            ("AzureWebJobsStorage__accountName", "account"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
            ("IDENTITY_HEADER", "header"),
            ("KEYVAULT_URI", "https://kv.vault.azure.net"),
        ]);
        for vars in [HashMap::new(), identity] {
            let _ = Config::from_vars(|name| {
                read.borrow_mut().insert(name.to_owned());
                vars.get(name).map(|value| (*value).to_owned())
            });
        }
        let platform = [
            "FUNCTIONS_CUSTOMHANDLER_PORT",
            "WEBSITE_HOSTNAME",
            "WEBSITE_SITE_NAME",
            "WEBSITE_INSTANCE_ID",
            "WEBSITE_POD_NAME",
            "WEBSITE_SKU",
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "NO_COLOR",
        ];
        let of_commands = ["SCHEDULER_URL", "TZ", "XDG_CONFIG_HOME", "HOME"];
        let others = platform.into_iter().chain(of_commands);
        let listed: BTreeSet<_> = settings().map(|(name, _)| name).chain(others).map(str::to_owned).collect();
        assert_eq!(read.into_inner(), listed);
    }

    #[test]
    fn all_problems_are_reported_together_and_no_secret_with_them() {
        let error = config(&[
            ("USE_AZURE_SERVICES", "maybe"),
            ("PORT", "70000"),
            ("PUBLIC_URL", "https://user:canary@a.example"),
            ("HOST", "example.com"),
            ("SCHEDULER_API_KEY", "canary"),
            ("JWT_SIGNING_KEYS", "k1:canary"),
            ("JWT_TTL_SECONDS", "3601"),
            ("WEBHOOK_SIGNING_SECRETS", "whsec_canary"),
            ("DATA_ENCRYPTION_KEYS", "d1:canary"),
            ("DELIVERY_ALLOWED_NETWORKS", "10.0.0.0/33"),
            ("TRUSTED_PROXIES", "proxy.example"),
            ("RUST_LOG", "x=loud"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "USE_AZURE_SERVICES",
            "PORT",
            "PUBLIC_URL",
            "HOST",
            "SCHEDULER_CLIENT_ID",
            "SCHEDULER_API_KEY",
            "JWT_SIGNING_KEYS",
            "JWT_TTL_SECONDS",
            "WEBHOOK_SIGNING_SECRETS",
            "DATA_ENCRYPTION_KEYS",
            "DELIVERY_ALLOWED_NETWORKS",
            "TRUSTED_PROXIES",
            "RUST_LOG",
        ] {
            assert!(error.contains(&format!("\n  {name}: ")), "{name} in {error}");
        }
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn a_configured_secret_does_not_show_in_debug() {
        let config = config(&[
            ("SCHEDULER_CLIENT_ID", "a"),
            ("SCHEDULER_API_KEY", "canary-canary-canary"),
            ("JWT_SIGNING_KEYS", &format!("k1:{}", "ca".repeat(32))),
            ("WEBHOOK_SIGNING_SECRETS", &format!("whsec_{}", "ca".repeat(20))),
            ("DATA_ENCRYPTION_KEYS", &format!("d1:{}", "ca".repeat(32))),
        ])
        .unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("canary") && !shown.contains("caca"), "{shown}");
    }
}
