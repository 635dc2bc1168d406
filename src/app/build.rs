//! Builds the parts of the service, each in one function, once its secrets are known.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::AppWorker;
use super::backend::Backend;
use super::documents::GuardedFetcher;
use super::limits::StoredLimits;
use super::signatures::ChosenSignatures;
use crate::auth::{Authenticator, ClientAdmin, ClientDirectory, SignIn};
use crate::backup::Backup;
use crate::config::Config;
use crate::delivery::{
    Deliverer, Follower, Inbox, NextDue, Signer, SlotRunner, Subscribers, Subscriptions, WakeUpHandler, Worker,
};
use crate::descriptors::Descriptors;
use crate::dev::{Arrivals, Dev, TurningWorker};
use crate::domain::Retention;
use crate::http::{
    FunctionsHost, Invocations, Operation, RateLimiter, Services, dev_operations, invocation_operations, operations,
    router, standalone_operations,
};
use crate::login::{Confirmations, Documents, Logins, Seals};
use crate::maintenance::{Checkup, Indexer, Sweeper};
use crate::mcp::McpServer;
use crate::outbound::HttpSender;
use crate::public_url::PublicUrl;
use crate::scheduler::{CursorKeys, Scheduler};
use crate::secrets::Secrets;
use crate::store::{ConversationStore, LoginStore, Sealer, WakeUps, Waker};
use crate::time::{Clock, Entropy};

/// What there is before the secrets are known.
pub(super) struct Foundation {
    pub(super) config: Config,
    pub(super) descriptors: Descriptors,
    pub(super) backend: Backend,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) sender: Arc<HttpSender>,
    pub(super) public_url: PublicUrl,
    /// Some under the Functions host.
    pub(super) host: Option<Arc<FunctionsHost>>,
}

/// The service, with its secrets.
pub(super) struct Service {
    pub(super) router: BoxedFilter<(Response,)>,
    pub(super) indexer: Indexer,
    /// None under the Functions host, which takes the worker's place.
    pub(super) worker: Option<AppWorker>,
}

impl Foundation {
    pub(super) fn build(&self, secrets: &Secrets, stop: &CancellationToken) -> Service {
        let (config, backend, clock) = (&self.config, &self.backend, self.backend.calendar());
        let signer = Arc::new(Signer::new(secrets.signing_secrets.clone()));
        let directory = Arc::new(ClientDirectory::with_first(secrets.client.clone(), backend.clients()));
        let clients = ClientAdmin::new(Arc::clone(&directory), Arc::clone(&clock), Arc::clone(&self.entropy));
        let cursor_keys = secrets.signing_keys.map(|keys| CursorKeys::new(keys.derive("the cursors of lists")));
        let parts = self.parts(secrets);
        let (sender, shown) = (Arc::clone(&self.sender), Arc::clone(&signer));
        let deliverer = parts.deliverer(config, sender, shown, &directory, self.descriptors);
        let authenticator = Arc::new(self.authenticator(Arc::clone(&directory), secrets));
        let waits_until = self.host.is_none().then_some(stop);
        let scheduler =
            parts.scheduler(config, waits_until).with_limits(Arc::new(StoredLimits(Arc::clone(&directory))));
        let logins = self.logins(&authenticator, directory, secrets);
        let scheduler = scheduler.beside(deliverer.live_attempts().clone());
        let (scheduler, indexer) = (scheduler.with_cursor_keys(cursor_keys), parts.indexer(backend));
        let (invocations, worker, dev) = if let Some(host) = &self.host {
            warn_if_there_is_no_queue(backend);
            let (wake_ups, host) = (parts.wake_up_handler(deliverer), Arc::clone(host));
            (Some(Arc::new(Invocations { wake_ups, host })), None, None)
        } else {
            let (worker, dev) = parts.worker(backend, deliverer);
            (None, Some(worker), dev)
        };
        let wake_ups = handler_of(worker.as_ref(), invocations.as_deref());

        let mut operations = operations();
        let inbox = parts.inbox(waits_until);
        let tools = operations.iter().filter_map(Operation::tool);
        let (subscriptions, confirmed) = (self.subscriptions(&parts), self.confirmations(secrets));
        let mcp = McpServer::new(scheduler.clone(), inbox.clone(), subscriptions, confirmed, &self.public_url, tools);
        operations.extend(if invocations.is_some() { invocation_operations() } else { standalone_operations() });
        operations.extend(dev.iter().flat_map(|_| dev_operations()));
        let services = Services {
            checkup: parts.checkup(wake_ups.is_some()),
            backup: parts.backup(backend),
            scheduler,
            inbox,
            authenticator,
            logins,
            clients,
            entropy: parts.entropy,
            mcp,
            signer,
            first_client: secrets.client.map(|client| client.id.clone()),
            rate_limiter: RateLimiter::new(config.server.rate_limit),
            wake_ups,
            invocations,
            dev,
        };
        Service { router: router(Arc::new(services), operations), indexer, worker }
    }

    fn parts(&self, secrets: &Secrets) -> Parts {
        let sealer = Sealer::new(secrets.encryption_keys.clone(), Arc::clone(&self.entropy));
        let sealer = Arc::new(sealer.refreshing(secrets.refresh.clone()));
        Parts::of(&self.backend, Arc::clone(&self.entropy), sealer, &self.config)
    }

    fn subscriptions(&self, parts: &Parts) -> Subscriptions {
        let (sender, endpoints) = (Arc::clone(&self.sender), self.config.delivery.endpoints.clone());
        Subscriptions::new(parts.subscribers.clone(), sender, endpoints, Arc::clone(&self.entropy))
    }

    fn confirmations(&self, secrets: &Secrets) -> Confirmations {
        let seals = Seals::new(secrets.signing_keys.clone(), Arc::clone(&self.entropy));
        Confirmations::new(self.backend.logins(), seals, self.backend.calendar())
    }

    fn authenticator(&self, directory: Arc<ClientDirectory>, secrets: &Secrets) -> Authenticator {
        let (keys, tokens) = (secrets.signing_keys.clone(), self.config.auth.tokens.clone());
        let authenticator =
            Authenticator::new(directory, keys, tokens, self.public_url.clone(), self.backend.calendar());
        let authenticator = authenticator.refreshing(secrets.refresh.clone());
        match self.config.auth.trusted_issuers.clone() {
            Some(issuers) => authenticator.trusting(issuers, Arc::new(GuardedFetcher(Arc::clone(&self.sender)))),
            None => authenticator,
        }
    }

    fn logins(&self, authenticator: &Arc<Authenticator>, directory: Arc<ClientDirectory>, secrets: &Secrets) -> Logins {
        let seals = Seals::new(secrets.signing_keys.clone(), Arc::clone(&self.entropy));
        let fetcher = Arc::new(GuardedFetcher(Arc::clone(&self.sender)));
        let documents = Documents::new(Arc::clone(&fetcher) as _);
        let (store, clock, entropy) = (self.backend.logins(), self.backend.calendar(), Arc::clone(&self.entropy));
        let logins = Logins::new(Arc::clone(authenticator), directory, store, seals, documents, clock, entropy);
        match self.config.auth.sign_in_issuer.clone() {
            Some(issuer) => logins.with_sign_in(SignIn::new(issuer, fetcher)),
            None => logins,
        }
    }
}

/// Handles wake-ups; `None` for a store of this process alone, which has none.
fn handler_of(worker: Option<&AppWorker>, invocations: Option<&Invocations>) -> Option<Arc<WakeUpHandler>> {
    match worker {
        Some(AppWorker::Queue(worker)) => Some(worker.handler()),
        Some(AppWorker::Follower(_) | AppWorker::Turning(_)) => None,
        None => invocations.map(|invocations| Arc::clone(&invocations.wake_ups)),
    }
}

/// The ports on which the use cases and the deliveries are built.
pub(super) struct Parts {
    conversations: ConversationStore,
    waker: Arc<dyn Waker>,
    wake_ups: Arc<WakeUps>,
    clock: Arc<dyn Clock>,
    calendar: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    retention: Retention,
    logins: LoginStore,
    subscribers: Subscribers,
}

impl Parts {
    pub(super) fn of(backend: &Backend, entropy: Arc<dyn Entropy>, sealer: Arc<Sealer>, config: &Config) -> Self {
        let retention = config.server.retention;
        let subscriptions = backend.subscriptions(Arc::clone(&sealer));
        let subscribers = Subscribers::new(subscriptions, backend.calendar(), config.delivery.events_text);
        let (conversations, wake_ups) = (backend.conversations(sealer), backend.wake_ups());
        let waker = backend.waker(&wake_ups);
        let (clock, calendar, logins) = (backend.clock(), backend.calendar(), backend.logins());
        Self { conversations, waker, wake_ups, clock, calendar, entropy, retention, logins, subscribers }
    }

    /// The use cases. A call may wait until the stop; under the Functions host it does not, because a host bills the time.
    fn scheduler(&self, config: &Config, stop: Option<&CancellationToken>) -> Scheduler {
        let scheduler = Scheduler::new(
            self.conversations.clone(),
            Arc::clone(&self.waker),
            config.delivery.endpoints.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        )
        .with_max_pending(config.server.max_pending, config.server.max_pending_bytes);
        match stop {
            Some(stop) => scheduler.waiting_until(stop.clone()),
            None => scheduler,
        }
    }

    /// The inboxes. Their receivers may wait as the callers of the use cases do.
    fn inbox(&self, stop: Option<&CancellationToken>) -> Inbox {
        let (waker, clock) = (Arc::clone(&self.waker), Arc::clone(&self.clock));
        let inbox = Inbox::new(self.conversations.clone(), waker, clock, Arc::clone(&self.entropy));
        let inbox = inbox.with_subscribers(self.subscribers.clone());
        match stop {
            Some(stop) => inbox.waiting_until(stop.clone()),
            None => inbox,
        }
    }

    pub(super) fn deliverer(
        &self,
        config: &Config,
        sender: Arc<HttpSender>,
        signer: Arc<Signer>,
        directory: &Arc<ClientDirectory>,
        descriptors: Descriptors,
    ) -> Arc<Deliverer> {
        let max_in_flight =
            if config.server.under_host { Deliverer::MAX_IN_FLIGHT_UNDER_HOST } else { Deliverer::MAX_IN_FLIGHT };
        let deliverer = Deliverer::new(
            self.conversations.clone(),
            Arc::clone(&self.waker),
            sender,
            signer,
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        );
        let signatures = Arc::new(ChosenSignatures(Arc::clone(directory)));
        let max_in_flight = max_in_flight.min(descriptors.exchanges);
        let deliverer = deliverer.signing_by(Arc::clone(&self.calendar)).with_signatures(signatures);
        let deliverer = deliverer.with_subscribers(self.subscribers.clone());
        Arc::new(deliverer.with_max_in_flight(max_in_flight))
    }

    pub(super) fn backup(&self, backend: &Backend) -> Backup {
        Backup::new(self.conversations.clone(), backend.clients(), Arc::clone(&self.waker))
    }

    /// Examines the store, and the sweeps and the queue if there are sweeps.
    fn checkup(&self, has_sweeps: bool) -> Checkup {
        let wake_ups = has_sweeps.then(|| Arc::clone(&self.wake_ups));
        Checkup::new(self.conversations.clone(), wake_ups, Arc::clone(&self.clock))
    }

    pub(super) fn indexer(&self, backend: &Backend) -> Indexer {
        let indexer = Indexer::new(self.conversations.clone(), Arc::clone(&self.clock));
        if backend.is_exclusive() { indexer.alone() } else { indexer }
    }

    /// What delivers when there is no Functions host, and what turns its clock if it can be turned.
    fn worker(&self, backend: &Backend, deliverer: Arc<Deliverer>) -> (AppWorker, Option<Arc<Dev>>) {
        match backend {
            Backend::Local { next_due, .. } => {
                (AppWorker::Follower(self.follower(deliverer, Arc::clone(next_due))), None)
            }
            Backend::Azure(store) => {
                (AppWorker::Queue(Worker::new(self.wake_up_handler(deliverer), store.wake_ups())), None)
            }
            Backend::Memory { next_due, clock, .. } => {
                let follower = self.follower(Arc::clone(&deliverer), Arc::clone(next_due));
                let (clock, store, next_due) = (Arc::clone(clock), self.conversations.clone(), Arc::clone(next_due));
                let (turner, worker) =
                    TurningWorker::new(follower, deliverer, store, next_due, Arc::clone(&clock), self.retention);
                let dev = Dev { turner, arrivals: Arrivals::default(), clock, calendar: Arc::clone(&self.calendar) };
                (AppWorker::Turning(Box::new(worker)), Some(Arc::new(dev)))
            }
        }
    }

    fn follower(&self, deliverer: Arc<Deliverer>, next_due: Arc<NextDue>) -> Follower {
        let follower = Follower::new(deliverer, self.conversations.clone(), next_due, Arc::clone(&self.clock));
        follower.keeping(self.retention).removing_from(self.logins.clone(), Arc::clone(&self.calendar))
    }

    pub(super) fn wake_up_handler(&self, deliverer: Arc<Deliverer>) -> Arc<WakeUpHandler> {
        let wake_ups = || Arc::clone(&self.wake_ups);
        let (clock, entropy) = (|| Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let conversations = || self.conversations.clone();
        let runner = Arc::new(SlotRunner::new(deliverer, conversations(), wake_ups(), clock(), entropy));
        let sweeper = Sweeper::new(conversations(), wake_ups(), Arc::clone(&runner) as _, clock());
        let sweeper = sweeper.keeping(self.retention).removing_from(self.logins.clone());
        Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper)))
    }
}

fn warn_if_there_is_no_queue(backend: &Backend) {
    if backend.is_exclusive() {
        tracing::warn!(
            "the embedded store has no queue that the Functions host could read: conversations are delivered late or \
             not at all; set USE_AZURE_SERVICES=true"
        );
    }
}
