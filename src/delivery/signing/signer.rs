//! The keys of all clients, in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{ClientKeys, PublicKey, SigningSecrets};
use crate::current::Current;
use crate::domain::ClientId;
use crate::sync::lock;

/// Gives the keys that sign the deliveries of a client. They are derived once for each client and each change of the
/// master secrets, because a derivation takes as long as a signature.
pub struct Signer {
    masters: Current<SigningSecrets>,
    cache: Mutex<Cache>,
}

struct Cache {
    /// The masters from which the keys are derived.
    masters: SigningSecrets,
    keys: HashMap<ClientId, Arc<ClientKeys>>,
}

impl Signer {
    /// The most clients in the cache. At the limit all are dropped.
    const MAX_CACHED: usize = 1024;

    /// A signer whose master secrets can change while it is used.
    #[must_use]
    pub fn new(masters: impl Into<Current<SigningSecrets>>) -> Self {
        let masters = masters.into();
        let cache = Cache { masters: masters.get(), keys: HashMap::new() };
        Self { masters, cache: Mutex::new(cache) }
    }

    /// The keys of a client, with the masters of this moment.
    #[must_use]
    pub fn keys(&self, client: &ClientId) -> Arc<ClientKeys> {
        let mut cache = lock(&self.cache);
        let masters = self.masters.get();
        if !cache.masters.is_same(&masters) {
            *cache = Cache { masters, keys: HashMap::new() };
        }
        if let Some(keys) = cache.keys.get(client) {
            return Arc::clone(keys);
        }
        let keys = Arc::new(cache.masters.derive(client));
        if cache.keys.len() >= Self::MAX_CACHED {
            cache.keys.clear();
        }
        cache.keys.insert(client.clone(), Arc::clone(&keys));
        keys
    }

    /// The public keys of a client. Everybody may ask for them with any id, so they do not go through the cache.
    #[must_use]
    pub fn public_keys(&self, client: &ClientId) -> Vec<PublicKey> {
        self.masters.get().derive(client).public_keys()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn masters(text: &str) -> SigningSecrets {
        text.parse().unwrap()
    }

    fn client(id: &str) -> ClientId {
        id.parse().unwrap()
    }

    #[test]
    fn keys_are_derived_once_and_only_a_bounded_number_is_kept() {
        let signer = Signer::new(masters(ONE));
        let first = signer.keys(&client("a"));
        assert!(Arc::ptr_eq(&first, &signer.keys(&client("a"))));
        for i in 0..Signer::MAX_CACHED {
            let _ = signer.keys(&client(&format!("client-{i}")));
            assert!(lock(&signer.cache).keys.len() <= Signer::MAX_CACHED);
        }
        assert!(!Arc::ptr_eq(&first, &signer.keys(&client("a"))));
    }

    #[test]
    fn the_public_keys_of_strangers_take_no_place_in_the_cache() {
        let signer = Signer::new(masters(ONE));
        assert_eq!(signer.public_keys(&client("a")), masters(ONE).derive(&client("a")).public_keys());
        assert!(lock(&signer.cache).keys.is_empty());
    }

    #[test]
    fn other_masters_take_effect_at_once_and_the_old_keys_are_dropped() {
        let (sender, receiver) = watch::channel(masters(ONE));
        let signer = Signer::new(receiver);
        let public = |keys: &ClientKeys| keys.public_keys();
        let (old, other) = (signer.keys(&client("a")), signer.keys(&client("b")));
        sender.send(masters(TWO)).unwrap();
        let new = signer.keys(&client("a"));
        assert_ne!(public(&old), public(&new));
        assert_eq!(public(&new), public(&masters(TWO).derive(&client("a"))));
        assert_eq!(signer.public_keys(&client("a")), public(&new));
        assert_eq!(lock(&signer.cache).keys.len(), 1);
        assert!(!Arc::ptr_eq(&other, &signer.keys(&client("b"))));
        drop(sender);
        assert!(Arc::ptr_eq(&new, &signer.keys(&client("a"))), "the masters stay when nobody changes them any more");
    }
}
