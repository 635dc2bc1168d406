//! The settings of the storage account: `AzureWebJobsStorage` and the settings that begin with `AzureWebJobsStorage__`,
//! in the form that the Functions host reads.
//!
//! No error quotes a value, because a connection string contains the key of the account.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::azure::{IdentitySource, SettingError, endpoint, private_endpoint};
use crate::domain::Secret;

const CONNECTION: &str = "AzureWebJobsStorage";
const ACCOUNT: &str = "AzureWebJobsStorage__accountName";
const TABLES: &str = "AzureWebJobsStorage__tableServiceUri";
const QUEUES: &str = "AzureWebJobsStorage__queueServiceUri";
const CREDENTIAL: &str = "AzureWebJobsStorage__credential";
const CLIENT_ID: &str = "AzureWebJobsStorage__clientId";

/// The account and the key of the emulator. The key is public: all installations of the emulator have the same one.
const EMULATOR: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");
const EMULATOR_QUEUE_PORT: u16 = 10001;
const EMULATOR_TABLE_PORT: u16 = 10002;

/// A storage account and the credential to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureSettings {
    /// The name of the account. It is empty if the settings contain only endpoints.
    pub account: String,
    /// The URL of the table service, without a slash at the end.
    pub table_endpoint: String,
    /// The URL of the queue service, without a slash at the end.
    pub queue_endpoint: String,
    /// The credential that signs requests.
    pub credential: AzureCredential,
}

/// The credential that signs requests to storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredential {
    /// A key of the account, in base64.
    Key(Secret<String>),
    /// A shared access signature, without a leading question mark.
    Sas(Secret<String>),
    /// Tokens of the managed identity that the platform provides.
    ManagedIdentity(IdentitySource),
}

impl AzureSettings {
    /// Reads the settings with a function that returns the value of a setting.
    ///
    /// # Errors
    /// The first [`SettingError`].
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let get = |name| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let by_identity = [ACCOUNT, TABLES, QUEUES].into_iter().find(|name| get(name).is_some());
        match (get(CONNECTION), by_identity) {
            (Some(text), None) => connection_string(&text).map_err(|problem| wrong(CONNECTION, problem)),
            (None, Some(_)) => managed_identity(get),
            (Some(_), Some(other)) => {
                Err(wrong(other, format!("is set, but {CONNECTION} is also set; keep one of them")))
            }
            (None, None) => {
                Err(wrong(CONNECTION, format!("is missing; set it to a connection string, or set {ACCOUNT}")))
            }
        }
    }
}

fn wrong(name: &'static str, problem: impl Into<String>) -> SettingError {
    SettingError { name, problem: problem.into() }
}

fn managed_identity(get: impl Fn(&'static str) -> Option<String>) -> Result<AzureSettings, SettingError> {
    if get(CREDENTIAL).is_some_and(|kind| !kind.eq_ignore_ascii_case("managedidentity")) {
        return Err(wrong(CREDENTIAL, "must be managedidentity"));
    }
    let account = get(ACCOUNT);
    if let Some(name) = &account {
        check_account(name).map_err(|problem| wrong(ACCOUNT, problem))?;
    }
    let endpoint_of = |name, service| match (get(name), &account) {
        (Some(uri), _) => private_endpoint(&uri).map_err(|problem| wrong(name, problem)),
        (None, Some(account)) => Ok(format!("https://{account}.{service}.core.windows.net")),
        (None, None) => Err(wrong(name, format!("is missing; set it, or set {ACCOUNT}"))),
    };
    Ok(AzureSettings {
        table_endpoint: endpoint_of(TABLES, "table")?,
        queue_endpoint: endpoint_of(QUEUES, "queue")?,
        account: account.clone().unwrap_or_default(),
        credential: AzureCredential::ManagedIdentity(IdentitySource::from_vars(&get, get(CLIENT_ID))?),
    })
}

/// The parts that a connection string may have. Some of them are not used here, such as the endpoint of blobs.
const PARTS: [&str; 15] = [
    "AccountName",
    "AccountKey",
    "SharedAccessSignature",
    "TableEndpoint",
    "QueueEndpoint",
    "EndpointSuffix",
    "DefaultEndpointsProtocol",
    "UseDevelopmentStorage",
    "DevelopmentStorageProxyUri",
    "BlobEndpoint",
    "FileEndpoint",
    "TableSecondaryEndpoint",
    "QueueSecondaryEndpoint",
    "BlobSecondaryEndpoint",
    "FileSecondaryEndpoint",
];

struct Parts<'a>(HashMap<&'static str, &'a str>);

impl<'a> Parts<'a> {
    /// The error for an unknown part has its position and not its name, because the text may be a piece of a key.
    fn read(text: &'a str) -> Result<Self, String> {
        let mut parts = HashMap::new();
        for (i, part) in text.split(';').map(str::trim).enumerate().filter(|(_, part)| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("its part {} has no '='", i + 1))?;
            let known = PARTS.into_iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
            let name = known.ok_or_else(|| format!("its part {} is none of {}", i + 1, PARTS.join(", ")))?;
            if parts.insert(name, value.trim()).is_some() {
                return Err(format!("has {name} twice"));
            }
        }
        Ok(Self(parts))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied().filter(|value| !value.is_empty())
    }
}

fn connection_string(text: &str) -> Result<AzureSettings, String> {
    let parts = Parts::read(text)?;
    if let Some(flag) = parts.get("UseDevelopmentStorage") {
        if !flag.eq_ignore_ascii_case("true") {
            return Err("has UseDevelopmentStorage, which must be true if it is set".to_owned());
        }
        return emulator(&parts);
    }
    let account = parts.get("AccountName");
    account.map_or(Ok(()), check_account)?;
    let credential = match (parts.get("AccountKey"), parts.get("SharedAccessSignature")) {
        (Some(_), None) if account.is_none() => return Err("has AccountKey without AccountName".to_owned()),
        (Some(key), None) => AzureCredential::Key(Secret::new(check_key(key)?.to_owned())),
        (None, Some(sas)) => AzureCredential::Sas(Secret::new(sas.trim_start_matches('?').to_owned())),
        (Some(_), Some(_)) => return Err("has AccountKey and SharedAccessSignature; keep one of them".to_owned()),
        (None, None) => return Err("has neither AccountKey nor SharedAccessSignature".to_owned()),
    };
    let protocol = match parts.get("DefaultEndpointsProtocol").unwrap_or("https").to_ascii_lowercase() {
        protocol if protocol == "https" || protocol == "http" => protocol,
        _ => return Err("has DefaultEndpointsProtocol, which must be https or http".to_owned()),
    };
    let suffix = parts.get("EndpointSuffix").unwrap_or("core.windows.net");
    let endpoint_of = |name, service| match (parts.get(name), account) {
        (Some(uri), _) => endpoint(uri).map_err(|problem| format!("has {name}, which {problem}")),
        (None, Some(account)) => endpoint(&format!("{protocol}://{account}.{service}.{suffix}"))
            .map_err(|problem| format!("has EndpointSuffix, with which the URL {problem}")),
        (None, None) => Err(format!("has neither {name} nor AccountName")),
    };
    Ok(AzureSettings {
        table_endpoint: endpoint_of("TableEndpoint", "table")?,
        queue_endpoint: endpoint_of("QueueEndpoint", "queue")?,
        account: account.unwrap_or_default().to_owned(),
        credential,
    })
}

fn emulator(parts: &Parts<'_>) -> Result<AzureSettings, String> {
    let proxy = parts.get("DevelopmentStorageProxyUri").unwrap_or("http://127.0.0.1");
    let base = endpoint(proxy).map_err(|problem| format!("has DevelopmentStorageProxyUri, which {problem}"))?;
    let (account, key) = EMULATOR;
    let at = |port| {
        let mut url = Url::parse(&base).map_err(|e| e.to_string())?;
        url.set_port(Some(port)).map_err(|()| "has DevelopmentStorageProxyUri, which has no host".to_owned())?;
        url.set_path(account);
        Ok::<_, String>(url.to_string())
    };
    Ok(AzureSettings {
        account: account.to_owned(),
        table_endpoint: at(EMULATOR_TABLE_PORT)?,
        queue_endpoint: at(EMULATOR_QUEUE_PORT)?,
        credential: AzureCredential::Key(Secret::new(key.to_owned())),
    })
}

fn check_account(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if (3..=24).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err("has an account name that is not valid; it must be 3 to 24 characters of a-z and 0-9".to_owned())
    }
}

fn check_key(key: &str) -> Result<&str, String> {
    match STANDARD.decode(key) {
        Ok(bytes) if !bytes.is_empty() => Ok(key),
        _ => Err("has AccountKey, which is not base64".to_owned()),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
