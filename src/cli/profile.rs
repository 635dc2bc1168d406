//! The profile: the service and the client with which a person has logged in.

use std::path::Path;

use serde_json::{Value, json};

use super::members::text;
use crate::config::Config;
use crate::domain::{ClientId, Secret};
use crate::private_files::{make_private_dir, read_private, write_private};

/// A service, and a client with its API key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) url: String,
    pub(super) client: ClientId,
    pub(super) key: Secret<String>,
}

impl Profile {
    /// Reads the profile of this user. `None` if nobody has logged in.
    pub(super) fn load(config: &Config) -> Result<Option<Self>, String> {
        match &config.commands.profile {
            Some(path) => Self::read(path),
            None => Ok(None),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, String> {
        let Some(bytes) = read_private(path).map_err(|error| error.to_string())? else { return Ok(None) };
        let parsed: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let (url, client, key) = (text(&parsed, "url"), text(&parsed, "clientId").parse(), text(&parsed, "apiKey"));
        match client {
            Ok(client) if !url.is_empty() => {
                Ok(Some(Self { url: url.to_owned(), client, key: Secret::new(key.to_owned()) }))
            }
            _ => Err(format!("{} is no profile; delete it and log in again with mcp-scheduler login", path.display())),
        }
    }

    /// Writes the profile to a file that only its owner can use.
    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let Self { url, client, key } = self;
        let profile = json!({ "url": url, "clientId": client.as_str(), "apiKey": key.expose() });
        let written = path.parent().map_or(Ok(()), make_private_dir);
        written.and_then(|()| write_private(path, profile.to_string().as_bytes())).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_profile_is_read_back_from_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/mcp-scheduler/profile.json");
        assert_eq!(Profile::read(&path), Ok(None));
        let url = "https://a.example".to_owned();
        let profile = Profile { url, client: "anna".parse().unwrap(), key: Secret::new("canary".to_owned()) };
        profile.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Profile::read(&path).unwrap().as_ref(), Some(&profile));
        assert!(!format!("{profile:?}").contains("canary"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Profile::read(&path).unwrap_err().contains("chmod 600"));
        write_private(&path, b"{}").unwrap();
        assert!(Profile::read(&path).unwrap_err().contains("is no profile"));
    }
}
