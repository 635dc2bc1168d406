//! Secrets of a Key Vault: a stand-in gives them, fails in each way that a vault can fail, and changes them.

mod key_vault;
mod rotation;
