//! The keys with which the secrets in the store are encrypted.

use super::vars::{Setting, Vars, parsed};
use crate::store::EncryptionKeys;

const ENCRYPTION_KEYS: Setting<EncryptionKeys> = Setting { name: "DATA_ENCRYPTION_KEYS", default: "", read: parsed };

pub(super) const SETTINGS: [(&str, &str); 1] = [ENCRYPTION_KEYS.entry()];

pub(super) fn read(vars: &mut Vars<'_>) -> Option<EncryptionKeys> {
    vars.read_secret(&ENCRYPTION_KEYS)
}
