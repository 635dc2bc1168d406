//! The reader of the settings. It collects all problems, so that an operator sees them at once.

use std::fmt::Display;
use std::str::FromStr;

use super::ConfigError;

/// One setting: its name, its default, and the function that reads its text.
pub(super) struct Setting<T> {
    /// The name of the environment variable.
    pub(super) name: &'static str,
    /// The default in the form that an operator would write; empty if the setting has none.
    pub(super) default: &'static str,
    /// Reads the text, or returns the problem. The problem of a secret must not contain its text.
    pub(super) read: fn(&str) -> Result<T, String>,
}

impl<T> Setting<T> {
    /// The name and the default, for the list of all settings.
    pub(super) const fn entry(&self) -> (&'static str, &'static str) {
        (self.name, self.default)
    }
}

/// Reads a setting whose type has a text form.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// Reads a setting that may be any text.
// A field of `Setting` holds this function, so its signature is that of all the others.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn any_text<T: for<'a> From<&'a str>>(text: &str) -> Result<T, String> {
    Ok(text.into())
}

/// The platform replaces a text that begins like this with the secret, or leaves it in place when it cannot read the
/// secret. It must not become an API key, because everybody could guess it.
const VAULT_REFERENCE: &str = "@Microsoft.KeyVault(";
const UNRESOLVED: &str = "is a Key Vault reference that was not resolved; does the secret exist, and may the app's \
                          identity read it (Key Vault Secrets User, keyVaultReferenceIdentity)?";

/// The environment, and the problems that were found in it.
pub(super) struct Vars<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Whether `USE_AZURE_SERVICES` is true. That setting is read first.
    pub(super) on_azure: bool,
    /// Whether a Key Vault is named. That is known before the secrets are read.
    pub(super) has_vault: bool,
    problems: Vec<String>,
}

impl<'a> Vars<'a> {
    pub(super) const fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, on_azure: false, has_vault: false, problems: Vec::new() }
    }

    /// The text of a setting. An empty text counts as not set.
    pub(super) fn text<T>(&self, setting: &Setting<T>) -> Option<String> {
        (self.lookup)(setting.name).filter(|text| !text.is_empty())
    }

    pub(super) fn is_set<T>(&self, setting: &Setting<T>) -> bool {
        self.text(setting).is_some()
    }

    /// Reads a setting, or its default. Returns none if it has neither, or if its text is wrong.
    pub(super) fn read<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let default = Some(setting.default.to_owned()).filter(|text| !text.is_empty());
        let text = self.text(setting).or(default)?;
        self.parse(setting, &text)
    }

    /// Reads a setting for which an empty text means something. Returns none if it is not set or wrong.
    pub(super) fn read_or_empty<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let text = (self.lookup)(setting.name)?;
        self.parse(setting, &text)
    }

    fn parse<T>(&mut self, setting: &Setting<T>, text: &str) -> Option<T> {
        let result = if text.contains(char::REPLACEMENT_CHARACTER) {
            Err("is not Unicode text".to_owned())
        } else if text.starts_with(VAULT_REFERENCE) {
            Err(UNRESOLVED.to_owned())
        } else {
            (setting.read)(text.trim())
        };
        result.map_err(|problem| self.problem(setting.name, problem)).ok()
    }

    /// Reads a secret. Without Azure the first start generates the missing ones; on Azure those that are not in a vault must
    /// be set.
    pub(super) fn read_secret<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        if !self.is_set(setting) {
            self.missing_on_azure(setting.name);
        }
        self.read(setting)
    }

    /// Notes that a secret is missing, if this start does not generate it.
    pub(super) fn missing_on_azure(&mut self, name: &str) {
        if self.on_azure && !self.has_vault {
            self.problem(
                name,
                "is missing; with USE_AZURE_SERVICES=true no credentials are generated; set it, or KEYVAULT_URI",
            );
        }
    }

    /// Notes a problem of a setting.
    pub(super) fn problem(&mut self, name: &str, problem: impl Display) {
        self.problems.push(format!("{name}: {problem}"));
    }

    /// The value that was read from the settings, if there were no problems.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(value) } else { Err(ConfigError(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::config;

    #[test]
    fn empty_means_not_set() {
        assert_eq!(config(&[("PORT", ""), ("HOST", "")]).unwrap().server.listen.port(), 8000);
    }

    #[test]
    fn a_key_vault_reference_that_the_platform_did_not_resolve_is_no_secret() {
        let reference = "@Microsoft.KeyVault(VaultName=mcp-scheduler-kv;SecretName=SCHEDULER-API-KEY)";
        let error = config(&[("SCHEDULER_CLIENT_ID", "me"), ("SCHEDULER_API_KEY", reference)]).unwrap_err().to_string();
        assert!(error.contains("\n  SCHEDULER_API_KEY: is a Key Vault reference that was not resolved"), "{error}");
    }
}
