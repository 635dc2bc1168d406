//! The keys with which `listen` verifies, and what to change if they do not fit.

use http::HeaderMap;

use super::arguments::ListenArguments;
use crate::app;
use crate::cli::service::first_client;
use crate::config::Config;
use crate::delivery::{Unverified, Verifier};
use crate::domain::Timestamp;

/// The keys with which requests are verified.
pub(super) struct Keys {
    verifier: Verifier,
    /// What the verifier has, in words.
    pub(super) name: String,
    /// If the developer has named a secret: a client of the settings, and its keys. They say whether the secret is wrong.
    client: Option<(String, Verifier)>,
}

/// Why a request does not verify, and what to change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Unverified,
    pub(super) advice: String,
}

impl Keys {
    /// The secret that the arguments name; without one, the keys of a client: the named or the first one.
    pub(super) async fn of(config: &Config, arguments: &ListenArguments) -> Result<Self, String> {
        let client = client(config, arguments).await;
        if let Some(secret) = &arguments.secret {
            let verifier = Verifier::with_secret(secret).map_err(|error| format!("--secret: {error}"))?;
            return Ok(Self { verifier, name: "the secret of --secret".to_owned(), client: client.ok() });
        }
        let (name, verifier) = client?;
        Ok(Self { verifier, name: format!("the keys of the client {name}"), client: None })
    }

    /// Verifies a request that has arrived at this time, and returns the versions of the signatures that fit.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Vec<&'static str>, Refusal> {
        self.verifier.verify(headers, body, now).map_err(|reason| {
            let is_signed = |(_, of_client): &&(String, Verifier)| of_client.verify(headers, body, now).is_ok();
            let signer = self.client.as_ref().filter(is_signed).map(|(name, _)| &**name);
            Refusal { reason, advice: advice(reason, signer) }
        })
    }
}

/// The named client, or the first one, and its keys.
async fn client(config: &Config, arguments: &ListenArguments) -> Result<(String, Verifier), String> {
    let name = match &arguments.client {
        Some(name) => name.clone(),
        None => match first_client(config)? {
            Some((id, ..)) => id.to_string(),
            None => {
                return Err("there is no client whose keys could verify: start the service once (mcp-scheduler) and run \
                            this command in the same directory, or name a client with --client or a secret with --secret"
                    .to_owned());
            }
        },
    };
    let keys =
        app::client_keys(config, &name).await.map_err(|error| format!("{error}; or name a secret with --secret"))?;
    Ok((name, keys.verifier()))
}

/// What to change. `signer` is the client whose keys do verify the request.
fn advice(reason: Unverified, signer: Option<&str>) -> String {
    match (reason, signer) {
        (_, Some(client)) => format!(
            "The request is as it was sent, but the secret is wrong: it is not one of the client {client}. \
             `mcp-scheduler client keys {client}` prints the right one."
        ),
        (Unverified::MissingHeader(_) | Unverified::InvalidTimestamp, None) => {
            "Let what is between the service and this receiver pass on all headers that begin with webhook-. If the \
             request is not a delivery, ignore it."
                .to_owned()
        }
        (Unverified::TooOld(_) | Unverified::TooNew(_), None) => {
            "Let both machines follow a time server (NTP). If somebody has kept the request and sent it again, a receiver \
             must refuse it."
                .to_owned()
        }
        (Unverified::NoSignature, None) => {
            "Verify v1 with a secret and v1a with a public key. A delivery always has a v1 signature.".to_owned()
        }
        (Unverified::WrongSignature, None) => {
            "Either the keys are those of another client (name it with --client) or of another service, or the request was \
             changed on its way: verify the bytes of the body as they arrive, before anything reads or formats them."
                .to_owned()
        }
    }
}
