use proptest::prelude::*;
use tokio::sync::watch;

use super::*;
use crate::time::SystemEntropy;

const ROW: &str = "m~ann~fe47253d2bff8fff7fffffffffffffd5";

fn keys(text: &str) -> EncryptionKeys {
    text.parse().unwrap()
}

fn with(text: &str) -> Sealer {
    Sealer::new(keys(text), Arc::new(SystemEntropy::new()))
}

fn key(kid: &str, byte: u8) -> String {
    format!("{kid}:{}", URL_SAFE_NO_PAD.encode([byte; 32]))
}

/// The text was made with the Python package `cryptography`:
/// `AESGCM(bytes([7] * 32)).encrypt(bytes(range(12)), b'"secret"', ROW)`.
#[test]
fn a_text_of_another_implementation_is_opened() {
    let sealed = "k.1.AAECAwQFBgcICQoLOvKME29srWtXbrPE1urF7rTmDk-Byu2a";
    assert_eq!(with(&key("k.1", 7)).open::<String>(sealed, ROW).unwrap(), "secret");
}

#[test]
fn the_same_value_is_never_encrypted_in_the_same_way() {
    let sealer = with(&key("k", 7));
    let sealed: std::collections::BTreeSet<_> = (0..100).map(|_| sealer.seal(&"secret", ROW).unwrap()).collect();
    assert_eq!(sealed.len(), 100);
}

#[test]
fn the_first_key_encrypts_and_all_decrypt() {
    let old = with(&key("k1", 1)).seal(&"old", ROW).unwrap();
    let sealer = with(&format!("{},{}", key("k2", 2), key("k1", 1)));
    let new = sealer.seal(&"new", ROW).unwrap();
    assert!(old.starts_with("k1.") && new.starts_with("k2."));
    assert!(sealer.is_current(&new) && !sealer.is_current(&old));
    assert_eq!(sealer.open::<String>(&old, ROW).unwrap(), "old");
    assert_eq!(sealer.open::<String>(&new, ROW).unwrap(), "new");
}

#[test]
fn the_keys_change_while_the_sealer_is_used() {
    let (keys_of_vault, current) = watch::channel(keys(&key("k1", 1)));
    let sealer = Sealer::new(current, Arc::new(SystemEntropy::new()));
    let old = sealer.seal(&"old", ROW).unwrap();
    keys_of_vault.send(keys(&key("k2", 2))).unwrap();
    assert!(sealer.seal(&"new", ROW).unwrap().starts_with("k2."));
    let error = sealer.open::<String>(&old, ROW).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Undecryptable { key, .. } if key == ROW));
    assert!(text.contains("with the key k1, which DATA_ENCRYPTION_KEYS does not have"), "{text}");
    keys_of_vault.send(keys(&format!("{},{}", key("k2", 2), key("k1", 1)))).unwrap();
    assert_eq!(sealer.open::<String>(&old, ROW).unwrap(), "old");
}

#[test]
fn whoever_misses_a_key_asks_for_the_keys_to_be_read_again() {
    let (refresh, mut requests) = Refresh::channel();
    let sealer = with(&key("k1", 1)).refreshing(refresh);
    let sealed = sealer.seal(&"secret", ROW).unwrap();
    sealer.open::<String>(&sealed, ROW).unwrap();
    assert!(requests.try_recv().is_err());
    assert!(sealer.open::<String>(&sealed.replace("k1.", "k2."), ROW).is_err());
    assert!(requests.try_recv().is_ok());
}

#[test]
fn a_part_of_another_row_or_another_key_is_not_opened() {
    let (sealer, other) = (with(&key("k", 1)), with(&key("k", 2)));
    let sealed = sealer.seal(&"secret", ROW).unwrap();
    let moved = sealer.open::<String>(&sealed, "m~ann~fe47253d2bff8fff7fffffffffffffd4");
    for opened in [moved, other.open(&sealed, ROW)] {
        assert!(matches!(&opened, Err(StoreError::Undecryptable { .. })), "{opened:?}");
    }
}

#[test]
fn without_keys_nothing_is_encrypted() {
    let sealer = Sealer::new(EncryptionKeys::default(), Arc::new(SystemEntropy::new()));
    assert!(matches!(sealer.seal(&"secret", ROW), Err(StoreError::Refused(_))));
    assert!(!sealer.is_current(""));
}

#[test]
fn a_generated_key_has_an_id_of_its_own_and_is_read() {
    let [one, other] = [(); 2].map(|()| EncryptionKeys::generate(&SystemEntropy::new()));
    let kids = [&one, &other].map(|text| format!("{:?}", keys(text.expose())));
    assert!(kids[0] != kids[1] && kids[0].starts_with(r#"["local-"#), "{kids:?}");
}

#[test]
fn the_secret_of_a_key_shows_nowhere() {
    let text = "ca".repeat(32);
    assert!(!format!("{:?}", keys(&format!("k:{text}"))).contains("ca"));
    let error = format!("k:{text}ca").parse::<EncryptionKeys>().unwrap_err();
    assert_eq!(error, InvalidKeys::Length(1, 32));
    assert!(!error.to_string().contains("caca"));
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted(value in ".{0,300}", row in "[a-z~0-9]{1,40}") {
        let sealer = with(&key("k", 7));
        let sealed = sealer.seal(&value, &row).unwrap();
        prop_assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)), "{}", sealed);
        prop_assert_eq!(sealer.open::<String>(&sealed, &row).unwrap(), value);
    }

    #[test]
    fn a_change_of_any_character_is_found(at in 0..100_usize, change in "[A-Za-z0-9_-]") {
        let sealer = with(&key("k", 7));
        let sealed = sealer.seal(&"a secret of some length", ROW).unwrap();
        let at = at % sealed.len();
        let changed = format!("{}{change}{}", &sealed[..at], &sealed[at + 1..]);
        let opened = sealer.open::<String>(&changed, ROW);
        prop_assert_eq!(opened.is_ok(), changed == sealed, "{}", changed);
    }
}
