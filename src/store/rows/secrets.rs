//! The part of a main row or payload row that is encrypted: what may give access to something.
//!
//! Rows of version 1 have the same fields in plain text. They are read, and no longer written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::callback::CallbackRows;
use super::conversation_key;
use super::payload::{BodyRow, SuccessWhenRow, body_row, headers_row, payload_key, restore_headers, success_when_row};
use crate::domain::{AdditionalInfo, BodyTemplate, Conversation, Endpoint, Payload, SuccessWhen};
use crate::json::pairs;
use crate::store::{Sealer, StoreError};

/// The fields that are encrypted. A row has those that are not empty.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secrets<'a> {
    /// Only in a main row, which has it unless the conversation is in an inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    pub(super) headers: pairs::Pairs<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<BodyRow<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) success_when: Option<SuccessWhenRow<'a>>,
    #[serde(default, skip_serializing_if = "CallbackRows::is_empty")]
    pub(super) callbacks: CallbackRows<'a>,
}

impl<'a> Secrets<'a> {
    fn of_payload(payload: &'a Payload) -> Result<Self, serde_json::Error> {
        Ok(Self {
            endpoint: None,
            headers: headers_row(&payload.headers),
            body: body_row(payload)?,
            success_when: success_when_row(payload)?,
            callbacks: CallbackRows::from(&payload.callbacks),
        })
    }
}

impl Secrets<'_> {
    /// The payload that has these secrets.
    pub(super) fn restore(self, text: Cow<'_, str>, info: Option<AdditionalInfo>) -> Payload {
        Payload {
            text: text.into_owned(),
            info,
            headers: restore_headers(self.headers),
            body: self.body.map(BodyTemplate::from),
            success_when: self.success_when.map(SuccessWhen::from),
            callbacks: self.callbacks.into(),
        }
    }
}

/// The encrypted part of a main row, and the endpoint in it.
///
/// A claim and a result write the part as it was read: only the client can change what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct SealedSecrets {
    pub(super) text: String,
    /// None in an inbox.
    endpoint: Option<Endpoint>,
}

impl SealedSecrets {
    pub(super) const fn new(text: String, endpoint: Option<Endpoint>) -> Self {
        Self { text, endpoint }
    }

    /// Encrypts the endpoint of a conversation, and the secrets of its payload if the main row has the payload.
    pub(super) fn seal(
        sealer: &Sealer,
        conversation: &Conversation,
        payload: Option<&Payload>,
    ) -> Result<Self, StoreError> {
        let endpoint = endpoint(conversation);
        let in_payload = payload.map(Secrets::of_payload).transpose().map_err(refused)?.unwrap_or_default();
        let secrets = Secrets { endpoint: endpoint.map(|endpoint| endpoint.as_str().into()), ..in_payload };
        let text = sealer.seal(&secrets, &conversation_key(conversation.client(), conversation.id()))?;
        Ok(Self { text, endpoint: endpoint.cloned() })
    }

    /// Whether the part can be written again for the next state of the conversation, whose payload has not changed.
    pub(super) fn fits(&self, next: &Conversation, sealer: &Sealer) -> bool {
        self.endpoint.as_ref() == endpoint(next) && self.is_current(sealer)
    }

    /// Whether the part was encrypted with the key that encrypts now.
    pub(in crate::store) fn is_current(&self, sealer: &Sealer) -> bool {
        sealer.is_current(&self.text)
    }
}

/// Encrypts the secrets of a payload that has a row of its own.
pub(super) fn seal_payload(sealer: &Sealer, of: &Conversation, payload: &Payload) -> Result<String, StoreError> {
    let secrets = Secrets::of_payload(payload).map_err(refused)?;
    sealer.seal(&secrets, &payload_key(of.client(), of.id()))
}

fn endpoint(conversation: &Conversation) -> Option<&Endpoint> {
    conversation.destination().target().map(|target| &target.endpoint)
}

#[allow(clippy::needless_pass_by_value)] // the signature that map_err asks for
fn refused(error: serde_json::Error) -> StoreError {
    StoreError::Refused(error.to_string())
}
