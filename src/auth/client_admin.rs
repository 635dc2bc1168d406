//! The administration of clients: the use cases of an operator. The service and the command line call the same code here.

use std::sync::Arc;

use super::{ApiKey, ClientDirectory, client_with_key, hash_key};
use crate::domain::{ClientId, ClientLimits, EndpointHost, LimitsChange, RedirectUri, Scopes, Signatures, Timestamp};
use crate::store::{Client, StoreError};
use crate::time::{Clock, Entropy};

/// Adds clients, lists them and changes them.
pub struct ClientAdmin {
    directory: Arc<ClientDirectory>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A client as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Its id.
    pub id: ClientId,
    /// Its scopes.
    pub scopes: Scopes,
    /// The signatures of its deliveries.
    pub signatures: Signatures,
    /// The addresses to which a login by its id returns the browser.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may schedule.
    pub limits: ClientLimits,
    /// Whether it gets no token and its tokens are refused.
    pub disabled: bool,
    /// The number of API keys with which it can log in.
    pub keys: usize,
    /// Whether it is the first client, which is not in the store.
    pub is_first: bool,
    /// The time at which it was added, if that is known.
    pub created: Option<Timestamp>,
    /// The time at which it last got another key.
    pub rotated: Option<Timestamp>,
}

/// The properties of a client that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClient {
    /// Its scopes.
    pub scopes: Scopes,
    /// The addresses to which a login by its id returns the browser. Without any, its id begins no login.
    pub redirect_uris: Vec<RedirectUri>,
    /// What limits it.
    pub limits: LimitsChange,
}

impl From<Scopes> for NewClient {
    /// A client without addresses and limits.
    fn from(scopes: Scopes) -> Self {
        Self { scopes, redirect_uris: Vec::new(), limits: LimitsChange::default() }
    }
}

/// A client and an API key that was just made for it. The store has only a hash of the key.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The client.
    pub client: ClientRecord,
    /// The key. Its owner is shown it once.
    pub api_key: ApiKey,
}

/// A page of clients.
#[derive(Clone, Debug)]
pub struct ClientPage {
    /// The clients, in the order of their ids.
    pub clients: Vec<ClientRecord>,
    /// The id behind which the next page begins. `None` on the last page.
    pub next: Option<ClientId>,
}

/// The reason why clients were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientAdminError {
    /// There is no client with this id.
    #[error("there is no client {0}")]
    NotFound(ClientId),
    /// A client with this id exists.
    #[error("a client {0} exists already")]
    Exists(ClientId),
    /// The client is the first one.
    #[error(
        "{0} is the first client, and it is not in the store: SCHEDULER_CLIENT_ID and SCHEDULER_API_KEY set it, or the first \
         start has made it"
    )]
    First(ClientId),
    /// The client has as many approved hosts as a client may have.
    #[error("{0} has {max} approved hosts, which is the most; take back an approval that is no longer needed", max = ClientLimits::MAX_HOSTS)]
    TooManyHosts(ClientId),
    /// The store cannot be reached, or did not confirm a change, or others keep changing the client.
    #[error(transparent)]
    Unavailable(StoreError),
    /// The client's row is damaged, or this program has a defect.
    #[error(transparent)]
    Internal(StoreError),
}

impl From<StoreError> for ClientAdminError {
    fn from(error: StoreError) -> Self {
        if error.is_temporary() { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

impl ClientAdmin {
    /// The keys with which a client can log in at one time.
    pub const MAX_KEYS: usize = 2;
    /// How often a change is tried while others change the same client.
    const MAX_TRIES: usize = 8;

    /// The administration of the clients of a directory.
    pub fn new(directory: Arc<ClientDirectory>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { directory, clock, entropy }
    }

    /// Adds a client with these properties and one key.
    ///
    /// # Errors
    /// [`ClientAdminError::Exists`], [`ClientAdminError::First`], [`ClientAdminError::Unavailable`] or
    /// [`ClientAdminError::Internal`].
    pub async fn add(&self, id: &ClientId, properties: NewClient) -> Result<NewKey, ClientAdminError> {
        self.refuse_first(id)?;
        let NewClient { scopes, redirect_uris, limits } = properties;
        let api_key = ApiKey::generate(id, &*self.entropy);
        let created = Some(self.clock.now());
        let client = client_with_key(id.clone(), &api_key, scopes, &*self.entropy);
        let limits = ClientLimits::none().changed(limits);
        let client = Client { redirect_uris, limits, created, ..client };
        match self.directory.store().insert(&client).await {
            Ok(()) => {}
            // A hash has a salt of its own, so a client with this one is ours.
            Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => match self.directory.store().get(id).await?
            {
                Some(stored) if stored.key_hashes == client.key_hashes => {}
                Some(_) => return Err(ClientAdminError::Exists(id.clone())),
                None => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
        self.directory.forget(id);
        Ok(NewKey { client: stored(&client), api_key })
    }

    /// Reads a client.
    ///
    /// # Errors
    /// [`ClientAdminError::NotFound`], [`ClientAdminError::Unavailable`] or [`ClientAdminError::Internal`].
    pub async fn get(&self, id: &ClientId) -> Result<ClientRecord, ClientAdminError> {
        if let Some(client) = self.directory.first().filter(|first| first.id == *id) {
            return Ok(first(&client));
        }
        let client = self.directory.store().get(id).await?;
        client.as_ref().map(stored).ok_or_else(|| ClientAdminError::NotFound(id.clone()))
    }

    /// Lists up to `limit` clients behind an id, in the order of their ids. The first client is among them.
    ///
    /// # Errors
    /// [`ClientAdminError::Unavailable`] or [`ClientAdminError::Internal`].
    pub async fn list(&self, after: Option<&ClientId>, limit: usize) -> Result<ClientPage, ClientAdminError> {
        // With one more than the page needs, it is known whether another page follows.
        let mut clients: Vec<_> = self.directory.store().list(after, limit + 1).await?.iter().map(stored).collect();
        if let Some(client) = self.directory.first() {
            // A row with its id counts for nothing while the settings have that id.
            clients.retain(|stored| stored.id != client.id);
            if after.is_none_or(|after| client.id > *after) {
                let at = clients.partition_point(|stored| stored.id < client.id);
                clients.insert(at, first(&client));
            }
        }
        let has_more = clients.len() > limit;
        clients.truncate(limit);
        let next = clients.last().filter(|_| has_more).map(|last| last.id.clone());
        Ok(ClientPage { clients, next })
    }

    /// Makes another key for a client. The newest of its keys stays valid beside it, and an older one does not.
    ///
    /// # Errors
    /// [`ClientAdminError::NotFound`], [`ClientAdminError::First`], [`ClientAdminError::Unavailable`] or
    /// [`ClientAdminError::Internal`].
    pub async fn rotate(&self, id: &ClientId) -> Result<NewKey, ClientAdminError> {
        let api_key = ApiKey::generate(id, &*self.entropy);
        let (hash, now) = (hash_key(&api_key, &*self.entropy), self.clock.now());
        let rotated = |client: &Client| {
            let is_done = client.key_hashes.first() == Some(&hash);
            let kept = client.key_hashes.iter().skip(usize::from(is_done)).cloned();
            let key_hashes = std::iter::once(hash.clone()).chain(kept).take(Self::MAX_KEYS).collect();
            Client { key_hashes, rotated: Some(now), ..client.clone() }
        };
        let client = self.update(id, rotated).await?;
        Ok(NewKey { client, api_key })
    }

    /// Ends the keys of a client that are older than the newest one.
    ///
    /// # Errors
    /// As [`ClientAdmin::rotate`].
    pub async fn retire(&self, id: &ClientId) -> Result<ClientRecord, ClientAdminError> {
        let retired = |client: &Client| {
            let key_hashes = client.key_hashes.iter().take(1).cloned().collect();
            Client { key_hashes, ..client.clone() }
        };
        self.update(id, retired).await
    }

    /// Disables a client. It gets no token any more, and the tokens that it has are never valid again, also if it is enabled
    /// later.
    ///
    /// # Errors
    /// As [`ClientAdmin::rotate`].
    pub async fn disable(&self, id: &ClientId) -> Result<ClientRecord, ClientAdminError> {
        let now = self.clock.now();
        let disabled = |client: &Client| {
            if client.disabled {
                return client.clone();
            }
            Client { disabled: true, tokens_valid_from: Some(now), ..client.clone() }
        };
        self.update(id, disabled).await
    }

    /// Enables a client. It can log in with its keys again.
    ///
    /// # Errors
    /// As [`ClientAdmin::rotate`].
    pub async fn enable(&self, id: &ClientId) -> Result<ClientRecord, ClientAdminError> {
        self.update(id, |client| Client { disabled: false, ..client.clone() }).await
    }

    /// Changes the signatures of the client's deliveries. The processes that deliver learn it within a minute.
    ///
    /// # Errors
    /// As [`ClientAdmin::rotate`].
    pub async fn set_signatures(
        &self,
        id: &ClientId,
        signatures: Signatures,
    ) -> Result<ClientRecord, ClientAdminError> {
        self.update(id, |client| Client { signatures, ..client.clone() }).await
    }

    /// Changes what a client may schedule. Other processes learn it within a minute.
    ///
    /// # Errors
    /// As [`ClientAdmin::rotate`].
    pub async fn set_limits(&self, id: &ClientId, change: LimitsChange) -> Result<ClientRecord, ClientAdminError> {
        self.update(id, |client| Client { limits: client.limits.clone().changed(change), ..client.clone() }).await
    }

    /// Approves a host for a client, or takes the approval back. Other processes learn it within a minute.
    ///
    /// # Errors
    /// [`ClientAdminError::TooManyHosts`], and as [`ClientAdmin::rotate`].
    pub async fn approve_host(
        &self,
        id: &ClientId,
        host: &EndpointHost,
        is_approved: bool,
    ) -> Result<ClientRecord, ClientAdminError> {
        let change = |client: &Client| {
            let limits = client.limits.clone().with_approval(host, is_approved);
            limits.map_or_else(|| client.clone(), |limits| Client { limits, ..client.clone() })
        };
        let changed = self.update(id, change).await?;
        if is_approved && !changed.limits.approved_hosts.contains(host) {
            return Err(ClientAdminError::TooManyHosts(id.clone()));
        }
        Ok(changed)
    }

    /// Changes a client, on the condition that its row is the one that was read. `change` runs again if somebody else was
    /// faster, so a change that is made already must be no change.
    async fn update(
        &self,
        id: &ClientId,
        change: impl Fn(&Client) -> Client,
    ) -> Result<ClientRecord, ClientAdminError> {
        self.refuse_first(id)?;
        let (store, mut last) = (self.directory.store(), StoreError::Conflict);
        for _ in 0..Self::MAX_TRIES {
            let read = store.read(id).await?;
            let (client, etag) = read.ok_or_else(|| ClientAdminError::NotFound(id.clone()))?;
            let next = change(&client);
            let replaced = if next == client { Ok(()) } else { store.replace(&next, etag).await };
            match replaced {
                Ok(()) => {
                    self.directory.forget(id);
                    return Ok(stored(&next));
                }
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    fn refuse_first(&self, id: &ClientId) -> Result<(), ClientAdminError> {
        if self.directory.first().is_some_and(|first| first.id == *id) {
            return Err(ClientAdminError::First(id.clone()));
        }
        Ok(())
    }
}

fn stored(client: &Client) -> ClientRecord {
    let Client { id, key_hashes, scopes, signatures, redirect_uris, limits, disabled, created, rotated, .. } = client;
    ClientRecord {
        id: id.clone(),
        scopes: *scopes,
        signatures: *signatures,
        redirect_uris: redirect_uris.clone(),
        limits: limits.clone(),
        disabled: *disabled,
        keys: key_hashes.len(),
        is_first: false,
        created: *created,
        rotated: *rotated,
    }
}

/// The command line knows the first client without its key.
fn first(client: &Client) -> ClientRecord {
    ClientRecord { keys: 1, is_first: true, ..stored(client) }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::auth::api_key::verify;
    use crate::domain::Scope;
    use crate::store::ClientStore;
    use crate::testing::{Fault, Faults, SimulatedTable};
    use crate::time::{SystemEntropy, VirtualClock};

    const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

    /// The faults of the next calls, and of those after them none.
    #[derive(Clone, Default)]
    struct Next(Arc<Mutex<VecDeque<Fault>>>);

    impl Faults for Next {
        fn next(&self) -> Fault {
            self.0.lock().unwrap().pop_front().unwrap_or_default()
        }
    }

    struct Place {
        admin: ClientAdmin,
        store: ClientStore,
        next: Next,
    }

    impl Place {
        fn new() -> Self {
            let next = Next::default();
            let store = ClientStore::new(Arc::new(SimulatedTable::new(next.clone())));
            let first = Client::without_keys(id("first"), Scopes::with_operator());
            let directory = Arc::new(ClientDirectory::new(Some(first), store.clone()));
            let clock = Arc::new(VirtualClock::starting_at(NOW));
            Self { admin: ClientAdmin::new(directory, clock, Arc::new(SystemEntropy::new())), store, next }
        }

        fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
            self.next.0.lock().unwrap().extend(faults);
        }

        async fn add(&self, name: &str) -> NewKey {
            self.admin.add(&id(name), Scopes::all().into()).await.unwrap()
        }

        async fn accepts(&self, NewKey { client, api_key }: &NewKey) -> bool {
            verify(self.store.get(&client.id).await.unwrap().as_ref(), api_key.secret())
        }
    }

    fn id(name: &str) -> ClientId {
        name.parse().unwrap()
    }

    fn names(page: &ClientPage) -> Vec<&str> {
        page.clients.iter().map(|client| client.id.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_two_keys_are_valid_and_a_third_rotation_ends_the_oldest() {
        let place = Place::new();
        let mut keys = vec![place.add("anna").await];
        assert_eq!((keys[0].client.keys, keys[0].client.created, keys[0].client.rotated), (1, Some(NOW), None));
        for round in 1..4 {
            tokio::time::advance(Duration::from_secs(1)).await;
            keys.push(place.admin.rotate(&id("anna")).await.unwrap());
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(place.accepts(key).await, number + 1 >= round, "key {number} after rotation {round}");
            }
        }
        let client = place.admin.get(&id("anna")).await.unwrap();
        assert_eq!((client.keys, client.rotated), (ClientAdmin::MAX_KEYS, Some(NOW + Duration::from_secs(3))));
        let retired = place.admin.retire(&id("anna")).await.unwrap();
        assert_eq!((retired.keys, place.accepts(&keys[2]).await, place.accepts(&keys[3]).await), (1, false, true));
        assert_eq!(place.admin.retire(&id("anna")).await.unwrap(), retired, "the only key stays");
    }

    #[tokio::test(start_paused = true)]
    async fn a_disabled_client_cannot_log_in_and_its_tokens_of_that_time_are_over() {
        let place = Place::new();
        let key = place.add("anna").await;
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(place.admin.disable(&id("anna")).await.unwrap().disabled);
        let since = Some(NOW + Duration::from_secs(10));
        assert!(!place.accepts(&key).await);
        tokio::time::advance(Duration::from_secs(10)).await;
        place.admin.disable(&id("anna")).await.unwrap();
        assert_eq!(
            place.store.get(&id("anna")).await.unwrap().unwrap().tokens_valid_from,
            since,
            "a repetition is none"
        );
        assert!(!place.admin.enable(&id("anna")).await.unwrap().disabled);
        assert!(place.accepts(&key).await);
        assert_eq!(place.store.get(&id("anna")).await.unwrap().unwrap().tokens_valid_from, since, "they stay invalid");
    }

    /// Every change with every result that the store can have: what the caller is told is so.
    #[tokio::test(start_paused = true)]
    async fn a_result_that_got_lost_is_found_out() {
        let unknown = [Fault::RequestLost, Fault::AnswerLost];
        for fault in unknown {
            let place = Place::new();
            // The calls are those of the store: a commit, or a read and a commit.
            place.fail([fault]);
            match place.admin.add(&id("anna"), Scopes::all().into()).await {
                Ok(key) => assert!(fault == Fault::AnswerLost && place.accepts(&key).await),
                Err(error) => {
                    assert!(
                        fault == Fault::RequestLost && matches!(error, ClientAdminError::Unavailable(_)),
                        "{error}"
                    );
                    place.add("anna").await;
                }
            }
            let before = place.admin.rotate(&id("anna")).await.unwrap();
            place.fail([Fault::None, fault]);
            let rotated = place.admin.rotate(&id("anna")).await.unwrap();
            assert!(place.accepts(&rotated).await, "{fault:?}");
            assert!(place.accepts(&before).await, "a repetition of the commit is not another rotation: {fault:?}");
            place.fail([Fault::None, fault]);
            assert!(place.admin.disable(&id("anna")).await.unwrap().disabled);
            assert!(place.store.get(&id("anna")).await.unwrap().unwrap().disabled);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_somebody_else_at_the_same_time_is_kept() {
        let place = Place::new();
        place.add("anna").await;
        let (client, etag) = place.store.read(&id("anna")).await.unwrap().unwrap();
        place.admin.disable(&id("anna")).await.unwrap();
        let lost = place.store.replace(&Client { scopes: Scope::Read.into(), ..client }, etag).await;
        assert!(matches!(lost, Err(StoreError::Conflict)), "the row has changed since the read");
        let anna = id("anna");
        let rotated = tokio::join!(place.admin.rotate(&anna), place.admin.enable(&anna));
        let client = place.admin.get(&id("anna")).await.unwrap();
        assert!(rotated.0.is_ok() && !client.disabled && client.keys == 2, "{client:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_client_is_shown_and_not_changed() {
        let place = Place::new();
        let first = id("first");
        let record = place.admin.get(&first).await.unwrap();
        assert_eq!((record.is_first, record.keys, record.scopes), (true, 1, Scopes::with_operator()));
        let refused = [
            place.admin.add(&first, Scopes::all().into()).await.map(drop),
            place.admin.rotate(&first).await.map(drop),
            place.admin.retire(&first).await.map(drop),
            place.admin.disable(&first).await.map(drop),
            place.admin.enable(&first).await.map(drop),
        ];
        assert!(refused.iter().all(|result| matches!(result, Err(ClientAdminError::First(_)))), "{refused:?}");
        assert!(place.store.list(None, 10).await.unwrap().is_empty(), "nothing was stored");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_client_is_not_found_and_a_known_one_is_not_added() {
        let place = Place::new();
        let key = place.add("anna").await;
        let again = place.admin.add(&id("anna"), Scopes::with_operator().into()).await;
        assert!(matches!(again, Err(ClientAdminError::Exists(_))));
        assert!(place.accepts(&key).await && place.admin.get(&id("anna")).await.unwrap().scopes == Scopes::all());
        let unknown = id("anne");
        let refused = [
            place.admin.get(&unknown).await.map(drop),
            place.admin.rotate(&unknown).await.map(drop),
            place.admin.disable(&unknown).await.map(drop),
        ];
        assert!(refused.iter().all(|result| matches!(result, Err(ClientAdminError::NotFound(_)))), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_clients_are_listed_in_pages_with_the_first_one_in_its_place() {
        let others = ["a", "a-", "a.b", "eve", "first", "g", "z"];
        let place = Place::new();
        let all = ["a", "a-", "a.b", "eve", "first", "g", "z"];
        for name in others.into_iter().filter(|name| *name != "first") {
            place.add(name).await;
        }
        // A client with the id of the first one, from the time before the settings had that id.
        place.store.insert(&Client::without_keys(id("first"), Scopes::none())).await.unwrap();
        for limit in 1..=all.len() + 1 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = place.admin.list(after.as_ref(), limit).await.unwrap();
                assert!(page.clients.len() == limit || page.next.is_none(), "a page of {limit} is full");
                seen.extend(names(&page).into_iter().map(str::to_owned));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit} on a page");
        }
        let page = place.admin.list(None, 10).await.unwrap();
        assert_eq!(page.clients.iter().filter(|client| client.is_first).count(), 1);
    }
}
