//! The choice between the embedded store and a storage account.

use super::vars::{Setting, Vars};
use crate::store::AzureSettings;

const USE_AZURE_SERVICES: Setting<bool> = Setting { name: "USE_AZURE_SERVICES", default: "false", read: parse_bool };

/// [`AzureSettings`] reads the settings of the storage account itself, by the rules of the Functions host.
pub(super) const SETTINGS: [(&str, &str); 7] = [
    USE_AZURE_SERVICES.entry(),
    ("AzureWebJobsStorage", ""),
    ("AzureWebJobsStorage__accountName", ""),
    ("AzureWebJobsStorage__tableServiceUri", ""),
    ("AzureWebJobsStorage__queueServiceUri", ""),
    ("AzureWebJobsStorage__credential", ""),
    ("AzureWebJobsStorage__clientId", ""),
];

/// The storage account, if `USE_AZURE_SERVICES` is true. The other concerns read [`Vars::on_azure`], so this function
/// runs first.
pub(super) fn read(vars: &mut Vars<'_>) -> Option<AzureSettings> {
    vars.on_azure = vars.read(&USE_AZURE_SERVICES) == Some(true);
    if !vars.on_azure {
        return None;
    }
    AzureSettings::from_vars(vars.lookup).map_err(|error| vars.problem(error.name, error.problem)).ok()
}

fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ON_AZURE, config};

    #[test]
    fn the_storage_account_is_read_if_azure_is_used() {
        assert_eq!(config(&ON_AZURE).unwrap().azure.unwrap().account, "devstoreaccount1");
    }

    #[test]
    fn without_azure_its_settings_do_not_matter() {
        assert_eq!(config(&[("AzureWebJobsStorage", "nonsense")]).unwrap().azure, None);
    }

    #[test]
    fn on_azure_no_credentials_are_generated_so_all_must_be_set() {
        let error = config(&[("USE_AZURE_SERVICES", "true")]).unwrap_err().to_string();
        for name in [
            "AzureWebJobsStorage",
            "SCHEDULER_CLIENT_ID",
            "JWT_SIGNING_KEYS",
            "WEBHOOK_SIGNING_SECRETS",
            "DATA_ENCRYPTION_KEYS",
        ] {
            assert!(error.contains(&format!("\n  {name}: is missing")), "{name} in {error}");
        }
    }
}
