//! What a person has confirmed through a program: the hosts to which a client sends.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seal::{Sealable, Seals};
use crate::auth::AuthError;
use crate::domain::{ClientId, EndpointHost, Timestamp};
use crate::json::text;
use crate::store::LoginStore;
use crate::time::Clock;

/// The time for which a person is not asked again about a host.
const CONFIRMED_FOR: Duration = Duration::from_hours(90 * 24);

/// Remembers which questions the service has asked, and which hosts were confirmed.
pub struct Confirmations {
    store: LoginStore,
    seals: Seals,
    clock: Arc<dyn Clock>,
}

/// The questions of a call, which a program carries to its user.
#[derive(Serialize, Deserialize)]
struct Asked {
    #[serde(with = "text")]
    client: ClientId,
    tool: String,
    /// As the user reads them.
    questions: Vec<String>,
    expires: i64,
}

impl Sealable for Asked {
    const KIND: &'static str = "questions";
}

impl Asked {
    const LIFETIME: Duration = Duration::from_mins(10);
}

impl Confirmations {
    /// Keeps the hosts in this store.
    #[must_use]
    pub fn new(store: LoginStore, seals: Seals, clock: Arc<dyn Clock>) -> Self {
        Self { store, seals, clock }
    }

    /// The state of the questions that a client is asked when it calls a tool. It comes back with the answers.
    #[must_use]
    pub fn ask(&self, client: &ClientId, tool: &str, questions: Vec<String>) -> String {
        let expires = (self.clock.now() + Asked::LIFETIME).as_millis();
        self.seals.seal(&Asked { client: client.clone(), tool: tool.to_owned(), questions, expires })
    }

    /// The questions of a state. None if they were for another client or another tool, or if the state is too old. `None`
    /// if this service did not make the state.
    #[must_use]
    pub fn asked(&self, client: &ClientId, tool: &str, state: &str) -> Option<Vec<String>> {
        let asked = self.seals.open::<Asked>(state)?;
        let is_open = self.clock.now() < Timestamp::from_millis(asked.expires);
        let counts = asked.client == *client && asked.tool == tool && is_open;
        Some(if counts { asked.questions } else { Vec::new() })
    }

    /// Whether a person has confirmed that a client sends to a host.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] or [`AuthError::Internal`].
    pub async fn has(&self, client: &ClientId, host: &EndpointHost) -> Result<bool, AuthError> {
        let until = self.store.confirmed_until(client, host).await?;
        Ok(until.is_some_and(|until| self.clock.now() < until))
    }

    /// Remembers that a person has confirmed a host.
    ///
    /// # Errors
    /// As [`Confirmations::has`].
    pub async fn add(&self, client: &ClientId, host: &EndpointHost) -> Result<(), AuthError> {
        Ok(self.store.confirm_host(client, host, self.clock.now() + CONFIRMED_FOR).await?)
    }
}
