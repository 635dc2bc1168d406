//! The payload row: the payload of a conversation whose main row would become large with it.
//!
//! Only its client changes it, so claims, results and lists neither read nor write a large text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::callback::CallbackRows;
use super::{decode, encode};
use crate::domain::{
    AdditionalInfo, BodyTemplate, ClientId, ConversationId, Expected, Headers, Payload, Secret, SuccessWhen,
};
use crate::json::pairs;
use crate::store::{Row, StoreError};

/// The largest payload that is in the main row. A larger one has a row of its own.
pub(super) const MAX_IN_MAIN_ROW: usize = 4 * 1024;

/// The place of a payload in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum StoredPayload {
    /// The main row contains it.
    InMainRow(Box<Payload>),
    /// It has a row of its own.
    InOwnRow,
}

impl StoredPayload {
    /// The payload, if the main row contains it.
    pub(in crate::store) fn in_main_row(&self) -> Option<&Payload> {
        match self {
            Self::InMainRow(payload) => Some(payload),
            Self::InOwnRow => None,
        }
    }
}

pub(in crate::store) fn payload_key(client: &ClientId, id: ConversationId) -> String {
    format!("p~{client}~{id}")
}

/// The value of a payload row.
#[derive(Serialize, Deserialize)]
struct PayloadRow<'a> {
    text: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Cow<'a, RawValue>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
    headers: pairs::Pairs<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<BodyRow<'a>>,
    #[serde(rename = "successWhen", default, skip_serializing_if = "Option::is_none")]
    success_when: Option<SuccessWhenRow<'a>>,
    #[serde(default, skip_serializing_if = "CallbackRows::is_empty")]
    callbacks: CallbackRows<'a>,
}

/// The caller's body in a row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BodyRow<'a> {
    json: Cow<'a, RawValue>,
    rendered_bytes: usize,
}

/// The caller's check on the response in a row. Without a value, nothing must be at the pointer.
#[derive(Serialize, Deserialize)]
pub(super) struct SuccessWhenRow<'a> {
    pointer: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Cow<'a, RawValue>>,
}

pub(in crate::store) fn encode_payload(payload: &Payload) -> Result<String, StoreError> {
    let row = || {
        Ok(PayloadRow {
            text: payload.text.as_str().into(),
            info: info_row(payload)?,
            headers: headers_row(&payload.headers),
            body: body_row(payload)?,
            success_when: success_when_row(payload)?,
            callbacks: CallbackRows::from(&payload.callbacks),
        })
    };
    encode(&row().map_err(|error: serde_json::Error| StoreError::Refused(error.to_string()))?)
}

pub(in crate::store) fn decode_payload(row: &Row) -> Result<Payload, StoreError> {
    let PayloadRow { text, info, headers, body, success_when, callbacks } = decode::<PayloadRow<'static>>(row)?;
    Ok(restore(text, info, headers, body, success_when, callbacks))
}

/// The additional info as a row contains it.
pub(super) fn info_row(payload: &Payload) -> Result<Option<Cow<'_, RawValue>>, serde_json::Error> {
    let info = payload.info.as_ref().map(|info| serde_json::from_str(info.as_str())).transpose()?;
    Ok(info.map(Cow::Borrowed))
}

/// The caller's body as a row contains it.
pub(super) fn body_row(payload: &Payload) -> Result<Option<BodyRow<'_>>, serde_json::Error> {
    let Some(BodyTemplate { json, rendered_bytes }) = &payload.body else { return Ok(None) };
    Ok(Some(BodyRow { json: Cow::Borrowed(serde_json::from_str(json)?), rendered_bytes: *rendered_bytes }))
}

/// The caller's check as a row contains it.
pub(super) fn success_when_row(payload: &Payload) -> Result<Option<SuccessWhenRow<'_>>, serde_json::Error> {
    let Some(SuccessWhen { pointer, expected }) = &payload.success_when else { return Ok(None) };
    let equals = match expected {
        Expected::Equals(json) => Some(Cow::Borrowed(serde_json::from_str(json)?)),
        Expected::Absent => None,
    };
    Ok(Some(SuccessWhenRow { pointer: pointer.into(), equals }))
}

impl From<SuccessWhenRow<'_>> for SuccessWhen {
    fn from(SuccessWhenRow { pointer, equals }: SuccessWhenRow<'_>) -> Self {
        let expected = equals.map_or(Expected::Absent, |json| Expected::Equals(json.get().to_owned()));
        Self { pointer: pointer.into_owned(), expected }
    }
}

/// The headers as a row contains them.
pub(super) fn headers_row(headers: &Headers) -> pairs::Pairs<'_> {
    headers.iter().map(|(name, value)| (name.into(), value.expose().into())).collect()
}

/// The headers of a row.
pub(super) fn restore_headers(headers: pairs::Pairs<'_>) -> Headers {
    let headers = headers.into_iter();
    Headers::from_stored(headers.map(|(name, value)| (name.into_owned(), Secret::new(value.into_owned()))).collect())
}

/// The payload from its parts in a row.
pub(super) fn restore(
    text: Cow<'_, str>,
    info: Option<Cow<'_, RawValue>>,
    headers: pairs::Pairs<'_>,
    body: Option<BodyRow<'_>>,
    success_when: Option<SuccessWhenRow<'_>>,
    callbacks: CallbackRows<'_>,
) -> Payload {
    Payload {
        text: text.into_owned(),
        info: info.map(|info| AdditionalInfo::from_json(info.get().to_owned())),
        headers: restore_headers(headers),
        body: body.map(|BodyRow { json, rendered_bytes }| BodyTemplate { json: json.get().to_owned(), rendered_bytes }),
        success_when: success_when.map(SuccessWhen::from),
        callbacks: callbacks.into(),
    }
}
