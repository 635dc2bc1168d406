//! The payload row: the payload of a conversation whose main row would become large with it.
//!
//! Only its client changes it, so claims, results and lists neither read nor write a large text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::callback::CallbackRows;
use super::secrets::{Secrets, seal_payload};
use super::{FIRST_PROJECTION, PAYLOAD_ROWS, decode, encode_sealed};
use crate::domain::{
    AdditionalInfo, BodyTemplate, ClientId, Conversation, ConversationId, Expected, Headers, Payload, Secret,
    SuccessWhen,
};
use crate::json::pairs;
use crate::store::{Row, Sealer, StoreError};

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
    format!("{PAYLOAD_ROWS}{client}~{id}")
}

/// The value of a payload row.
#[derive(Serialize, Deserialize)]
struct PayloadRow<'a> {
    text: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Cow<'a, RawValue>>,
    /// The rest of the payload, encrypted. Rows of version 1 have the fields below instead.
    sealed: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing, with = "pairs")]
    headers: pairs::Pairs<'a>,
    #[serde(default, skip_serializing)]
    body: Option<BodyRow<'a>>,
    #[serde(rename = "successWhen", default, skip_serializing)]
    success_when: Option<SuccessWhenRow<'a>>,
    #[serde(default, skip_serializing)]
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

/// The value of a conversation's payload row.
pub(super) fn encode_payload(of: &Conversation, payload: &Payload, sealer: &Sealer) -> Result<String, StoreError> {
    let info = info_row(payload).map_err(|error| StoreError::Refused(error.to_string()))?;
    let sealed = seal_payload(sealer, of, payload)?;
    encode_sealed(
        &PayloadRow {
            text: payload.text.as_str().into(),
            info,
            sealed: Some(sealed.into()),
            headers: Vec::new(),
            body: None,
            success_when: None,
            callbacks: CallbackRows::default(),
        },
        FIRST_PROJECTION,
    )
}

pub(in crate::store) fn decode_payload(row: &Row, sealer: &Sealer) -> Result<Payload, StoreError> {
    let PayloadRow { text, info, sealed, headers, body, success_when, callbacks } = decode::<PayloadRow<'static>>(row)?;
    let secrets = match sealed {
        Some(sealed) => sealer.open(&sealed, &row.key)?,
        None => Secrets { endpoint: None, headers, body, success_when, callbacks },
    };
    Ok(secrets.restore(text, info.map(restore_info)))
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

/// The additional info of a row.
#[allow(clippy::needless_pass_by_value)] // the signature that map asks for
pub(super) fn restore_info(info: Cow<'_, RawValue>) -> AdditionalInfo {
    AdditionalInfo::from_json(info.get().to_owned())
}

impl From<BodyRow<'_>> for BodyTemplate {
    fn from(BodyRow { json, rendered_bytes }: BodyRow<'_>) -> Self {
        Self { json: json.get().to_owned(), rendered_bytes }
    }
}
