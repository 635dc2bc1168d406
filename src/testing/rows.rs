//! Reads rows for tests that look below the storage protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::domain::Conversation;
use crate::store::{EncryptionKeys, Row, Sealer, StoreError, read_conversation};
use crate::time::Entropy;

/// The key of [`sealer`], in the form of `DATA_ENCRYPTION_KEYS`.
pub const ENCRYPTION_KEY: &str = "test:5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// A sealer with [`ENCRYPTION_KEY`]. Its nonces are counted, so that a run is the same every time.
#[must_use]
pub fn sealer() -> Arc<Sealer> {
    sealer_with_keys().1
}

/// The same, and what gives it other keys.
#[must_use]
pub fn sealer_with_keys() -> (watch::Sender<EncryptionKeys>, Arc<Sealer>) {
    let (sender, keys) = watch::channel(ENCRYPTION_KEY.parse().unwrap_or_default());
    (sender, Arc::new(Sealer::new(keys, Arc::new(Counted::default()))))
}

/// Bytes that count the calls.
#[derive(Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let count = (self.0.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes();
        buffer.iter_mut().zip(count.into_iter().cycle()).for_each(|(byte, of_count)| *byte = of_count);
    }
}

/// The conversation in a main row that was encrypted by [`sealer`].
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is not a main row.
pub fn conversation_in(row: &Row) -> Result<Conversation, StoreError> {
    read_conversation(row, &sealer())
}

/// The value that an earlier release would have written for a main row or payload row that was encrypted by [`sealer`]: of
/// version 1, with this version of the projection and with its secrets in plain text.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is neither.
pub fn as_version_1(row: &Row, projection: u32) -> Result<String, StoreError> {
    let corrupt = || StoreError::Corrupt { key: row.key.clone(), reason: "it has no encrypted part".to_owned() };
    let value: Value = serde_json::from_str(&row.value).map_err(|_| corrupt())?;
    let Some(Value::Object(mut fields)) = value.get("row").cloned() else { return Err(corrupt()) };
    let sealed = fields.remove("sealed").ok_or_else(corrupt)?;
    let secrets: Map<String, Value> = sealer().open(sealed.as_str().unwrap_or_default(), &row.key)?;
    for (name, secret) in secrets {
        let part = match name.as_str() {
            "endpoint" | "headers" => fields.get_mut("target"),
            _ => fields.get_mut("content"),
        };
        match part.and_then(Value::as_object_mut) {
            Some(part) => part.insert(name, secret),
            None => fields.insert(name, secret),
        };
    }
    if let Some(target) = fields.get_mut("target").and_then(Value::as_object_mut) {
        target.remove("origin");
    }
    let mut envelope = Map::from_iter([("v".to_owned(), 1.into()), ("row".to_owned(), fields.into())]);
    if projection > 1 {
        envelope.insert("p".to_owned(), projection.into());
    }
    Ok(Value::Object(envelope).to_string())
}
