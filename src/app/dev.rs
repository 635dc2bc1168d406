//! The start of a service for development: nothing is kept, and its clock can be turned.

use super::backend::Backend;
use super::{App, StartError};
use crate::config::Config;
use crate::domain::{ClientId, Secret};
use crate::secrets::{BootstrapSecrets, SecretSource};
use crate::time::SystemEntropy;

/// The only client that a service for development has when it starts.
#[derive(Clone, Debug)]
pub struct DevClient {
    /// Its id.
    pub id: ClientId,
    /// Its API key.
    pub api_key: Secret<String>,
    /// What its receivers verify deliveries with.
    pub signing_secret: Secret<String>,
}

impl App {
    /// Listens on the port, with empty tables in memory and with secrets that nobody else has. No file is read or written.
    ///
    /// # Errors
    /// [`StartError`].
    #[allow(clippy::unused_async)] // the listener registers with the runtime of the caller
    pub async fn start_dev(config: Config) -> Result<(Self, DevClient), StartError> {
        let (secrets, api_key) = BootstrapSecrets::temporary(&SystemEntropy::new())?;
        let id = secrets.client.id.clone();
        let signing_secret = secrets.signing_secrets.derive(&id).secrets().into_iter().next();
        let signing_secret = signing_secret.unwrap_or_else(|| Secret::new(String::new()));
        let remedy = "choose another port with --port; 0 is any free one";
        let (store, source) = (Backend::in_memory(), SecretSource::Read(Box::new(secrets)));
        let app = Self::start_on(config, remedy, |_, _| Ok(store), |_, _| Ok(source))?;
        Ok((app, DevClient { id, api_key: api_key.secret().clone(), signing_secret }))
    }
}
