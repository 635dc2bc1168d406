//! The lines of an export: a client, an idempotency key, or a conversation with its payload, each as its row is stored.
//!
//! Secondary rows are not exported, because the import computes them again. With `reveal`, the field `revealed` has in plain
//! text what the field `sealed` has encrypted.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::projection::CURRENT;
use super::{
    ClientRow, KEY_ROWS, KeyRow, MainRow, StoredPayload, conversation_key, decode, decode_conversation, decode_key_row,
    decode_payload, key_row_key, name_partition, payload_key,
};
use crate::domain::{ClientId, Sha256, WholeConversation};
use crate::store::{Client, Etag, Row, Sealer, StoreError};

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) enum ExportLine {
    Client(RowValue),
    Conversation(ConversationLine),
    IdempotencyKey(KeyLine),
}

/// A conversation: its main row, and its payload row if it has one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::store) struct ConversationLine {
    /// The key of the main row.
    key: String,
    main: RowValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<RowValue>,
    /// Whether its name leads to it. An earlier conversation with the same name has the name, too, and is not found by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    holds_name: bool,
}

/// An idempotency key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct KeyLine {
    key: String,
    row: RowValue,
}

/// The value of a row. It is the JSON itself, or a string with the JSON if that has a line feed: a client may have sent
/// one, and what clients have sent keeps its bytes.
pub(in crate::store) struct RowValue(pub(in crate::store) String);

impl Serialize for RowValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.contains(['\n', '\r']) {
            return self.0.serialize(serializer);
        }
        let json: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RowValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        if json.get().starts_with('"') {
            return serde_json::from_str(json.get()).map(Self).map_err(serde::de::Error::custom);
        }
        Ok(Self(json.get().to_owned()))
    }
}

impl ConversationLine {
    pub(in crate::store) fn new(main: Row, payload: Option<Row>, holds_name: bool) -> Self {
        let payload = payload.map(|row| RowValue(row.value));
        Self { key: main.key, main: RowValue(main.value), payload, holds_name }
    }

    /// The conversation, and whether its name leads to it.
    fn read(self, sealer: &Sealer) -> Result<(WholeConversation, bool), StoreError> {
        let main = self.main.sealed(self.key, sealer)?;
        let MainRow { conversation, payload, projection, .. } = decode_conversation(&main, sealer)?;
        let (client, id) = (conversation.client(), conversation.id());
        let corrupt = |reason: &str| StoreError::Corrupt { key: main.key.clone(), reason: reason.to_owned() };
        if projection > CURRENT {
            return Err(corrupt("a newer version of the program has written it"));
        }
        if main.key != conversation_key(client, id) {
            return Err(corrupt("it is the row of another conversation"));
        }
        if conversation.name().is_some_and(|name| name_partition(name) != id.partition()) {
            return Err(corrupt("its id does not belong to its name"));
        }
        let payload = match (payload, self.payload) {
            (StoredPayload::InMainRow(payload), None) => *payload,
            (StoredPayload::InOwnRow, Some(row)) => {
                decode_payload(&row.sealed(payload_key(client, id), sealer)?, sealer)?
            }
            (StoredPayload::InMainRow(_), Some(_)) => return Err(corrupt("it has a payload beside the one in it")),
            (StoredPayload::InOwnRow, None) => return Err(corrupt("its payload is missing")),
        };
        Ok((WholeConversation { conversation, payload }, self.holds_name))
    }
}

impl KeyLine {
    pub(in crate::store) fn new(row: Row) -> Self {
        Self { key: row.key, row: RowValue(row.value) }
    }
}

/// The field of a row with the encrypted part.
const SEALED: &str = "sealed";
/// The field of a line with the same part in plain text.
const REVEALED: &str = "revealed";

impl RowValue {
    /// The row of this value. What was revealed is encrypted again.
    fn sealed(self, key: String, sealer: &Sealer) -> Result<Row, StoreError> {
        let value = with_field(&self.0, &key, REVEALED, SEALED, |plain| {
            let sealed = sealer.seal(&plain, &key)?;
            to_raw_value(&sealed).map_err(|error| StoreError::Refused(error.to_string()))
        })?;
        Ok(Row { key, value: value.unwrap_or(self.0), etag: Etag::new(String::new()) })
    }
}

/// A row with its encrypted part in plain text.
pub(in crate::store) fn reveal(row: Row, sealer: &Sealer) -> Result<Row, StoreError> {
    let Row { key, value, etag } = row;
    let revealed = with_field(&value, &key, SEALED, REVEALED, |sealed| {
        let sealed: String = serde_json::from_str(sealed.get()).map_err(|_| no_row(&key))?;
        sealer.open(&sealed, &key)
    })?;
    Ok(Row { value: revealed.unwrap_or(value), key, etag })
}

type Members = BTreeMap<String, Box<RawValue>>;

/// The value of a row in which a field has another name and another value. All others keep their bytes. `None` if the row
/// does not have the field.
fn with_field(
    value: &str,
    key: &str,
    old: &str,
    new: &str,
    change: impl FnOnce(Box<RawValue>) -> Result<Box<RawValue>, StoreError>,
) -> Result<Option<String>, StoreError> {
    let mut envelope: Members = serde_json::from_str(value).map_err(|_| no_row(key))?;
    let row = envelope.get("row").ok_or_else(|| no_row(key))?;
    let mut row: Members = serde_json::from_str(row.get()).map_err(|_| no_row(key))?;
    let Some(before) = row.remove(old).filter(|before| before.get() != "null") else { return Ok(None) };
    row.insert(new.to_owned(), change(before)?);
    let refused = |error: serde_json::Error| StoreError::Refused(error.to_string());
    envelope.insert("row".to_owned(), to_raw_value(&row).map_err(refused)?);
    serde_json::to_string(&envelope).map(Some).map_err(refused)
}

fn no_row(key: &str) -> StoreError {
    StoreError::Corrupt { key: key.to_owned(), reason: "it does not have the form of a row".to_owned() }
}

/// What a line contains, once it was read.
pub(in crate::store) enum Imported {
    Client(Client),
    Conversation { whole: Box<WholeConversation>, holds_name: bool },
    Key { client: ClientId, key: Sha256, row: KeyRow },
}

/// Reads a line.
///
/// # Errors
/// [`StoreError::Corrupt`] or [`StoreError::Undecryptable`], which quote nothing of the line.
pub(in crate::store) fn decode_line(line: &str, sealer: &Sealer) -> Result<Imported, StoreError> {
    let no_line = |_| StoreError::Corrupt {
        key: "of the line".to_owned(),
        reason: "it is neither a client nor a conversation nor an idempotency key".to_owned(),
    };
    match serde_json::from_str(line).map_err(no_line)? {
        ExportLine::Client(value) => {
            let row = Row { key: "of the client".to_owned(), value: value.0, etag: Etag::new(String::new()) };
            Ok(Imported::Client(decode::<ClientRow>(&row)?.into()))
        }
        ExportLine::Conversation(line) => {
            let (whole, holds_name) = line.read(sealer)?;
            Ok(Imported::Conversation { whole: Box::new(whole), holds_name })
        }
        ExportLine::IdempotencyKey(KeyLine { key, row }) => {
            let row = Row { key, value: row.0, etag: Etag::new(String::new()) };
            let read = decode_key_row(&row)?;
            let name = row.key.strip_prefix(KEY_ROWS).and_then(|name| name.split_once('~'));
            let name = name.and_then(|(client, key)| Some((client.parse().ok()?, key.parse().ok()?)));
            match name {
                Some((client, key))
                    if key_row_key(&client, key) == row.key && read.id.partition() == key.partition() =>
                {
                    Ok(Imported::Key { client, key, row: read })
                }
                _ => Err(no_row(&row.key)),
            }
        }
    }
}
