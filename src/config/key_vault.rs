//! The Key Vault that has the secrets which the settings lack.

use super::vars::{Setting, Vars, any_text};
use crate::azure::{IdentitySource, SettingError, private_endpoint};

const KEYVAULT_URI: Setting<String> = Setting { name: "KEYVAULT_URI", default: "", read: private_endpoint };
/// The name is that of the libraries of Azure.
const CLIENT_ID: Setting<String> = Setting { name: "AZURE_CLIENT_ID", default: "", read: any_text };
const STORAGE_CLIENT_ID: &str = "AzureWebJobsStorage__clientId";

pub(super) const SETTINGS: [(&str, &str); 2] = [KEYVAULT_URI.entry(), CLIENT_ID.entry()];

/// A Key Vault, and the identity that may read it.
#[derive(Clone, Debug)]
pub struct KeyVaultConfig {
    /// `KEYVAULT_URI`, without a slash at the end.
    pub uri: String,
    /// The managed identity: the user-assigned one of `AZURE_CLIENT_ID` or `AzureWebJobsStorage__clientId`, or the
    /// system-assigned one.
    pub identity: IdentitySource,
    /// An authority that is trusted beside the public ones. No setting names one; a test does.
    pub authority: Option<reqwest::Certificate>,
}

/// Whether a vault is named. The readers of secrets ask this, because a secret may be missing then.
pub(super) fn is_named(vars: &Vars<'_>) -> bool {
    vars.is_set(&KEYVAULT_URI)
}

/// The vault, if the settings lack a secret. Otherwise nothing is read from it, and no identity is needed.
pub(super) fn read(vars: &mut Vars<'_>, lacks_a_secret: bool) -> Option<KeyVaultConfig> {
    let uri = vars.read(&KEYVAULT_URI)?;
    if !lacks_a_secret {
        return None;
    }
    let get = |name: &str| (vars.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let client_id = get(CLIENT_ID.name).or_else(|| get(STORAGE_CLIENT_ID));
    let problem =
        |SettingError { name, problem }| vars.problem(name, format!("{problem}, and {} needs one", KEYVAULT_URI.name));
    let identity = IdentitySource::from_vars(get, client_id).map_err(problem).ok()?;
    Some(KeyVaultConfig { uri, identity, authority: None })
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ON_AZURE, config};

    const VAULT: (&str, &str) = ("KEYVAULT_URI", "https://kv.vault.azure.net/");
    const IDENTITY: [(&str, &str); 2] =
        [("IDENTITY_ENDPOINT", "http://127.0.0.1:8081/msi/token"), ("IDENTITY_HEADER", "canary")];

    #[test]
    fn a_secret_may_be_in_the_settings_or_in_the_vault() {
        for kept in 0..=5 {
            // The first two entries choose the storage, and the others are the secrets.
            let vars = [&ON_AZURE[..2 + kept], &IDENTITY, &[VAULT]].concat();
            let vault = config(&vars).unwrap().key_vault;
            assert_eq!(vault.map(|vault| vault.uri), (kept < 5).then(|| "https://kv.vault.azure.net".to_owned()));
        }
    }

    #[test]
    fn the_identity_is_the_one_of_the_system_unless_a_setting_names_another() {
        let client_id = |vars: &[(&'static str, &'static str)]| {
            let vars = [&IDENTITY[..], &[VAULT], vars].concat();
            config(&vars).unwrap().key_vault.unwrap().identity.client_id
        };
        let (own, of_storage) = (("AZURE_CLIENT_ID", "a"), ("AzureWebJobsStorage__clientId", "s"));
        assert_eq!(client_id(&[]), None);
        assert_eq!(client_id(&[of_storage]).as_deref(), Some("s"));
        assert_eq!(client_id(&[of_storage, own]).as_deref(), Some("a"));
    }

    #[test]
    fn a_vault_needs_an_identity_and_an_address_to_which_a_token_may_be_sent() {
        for (vars, name) in [
            (&[VAULT][..], "IDENTITY_ENDPOINT"),
            (&[VAULT, IDENTITY[0]], "IDENTITY_HEADER"),
            (&[("KEYVAULT_URI", "http://kv.vault.azure.net/"), IDENTITY[0], IDENTITY[1]], "KEYVAULT_URI"),
            (&[("KEYVAULT_URI", "canary"), IDENTITY[0], IDENTITY[1]], "KEYVAULT_URI"),
        ] {
            let error = config(vars).unwrap_err().to_string();
            assert!(error.contains(&format!("\n  {name}: ")) && !error.contains("canary"), "{error}");
        }
        assert!(config(&[&ON_AZURE[..], &[VAULT]].concat()).is_ok(), "nothing is read from the vault");
    }
}
