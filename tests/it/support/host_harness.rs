//! A function app with its own storage account.

use std::time::Duration;

use azure_core::RetryOptions;
use azure_storage::{CloudLocation, StorageCredentials};
use azure_storage_queues::operations::Message;
use azure_storage_queues::{QueueClient, QueueServiceClientBuilder};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::app_folder::AppFolder;
use crate::support::azurite::{self, azurite};
use crate::support::client::ApiClient;
use crate::support::functions_host::{Host, HostOptions, Patience, Source};
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::service::{CLIENT, CONFIGURED, KEY};

/// The time limit of every wait, for a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct HostHarness {
    folder: AppFolder,
    pub connection: String,
    port: u16,
}

impl HostHarness {
    /// An app on a new account of the shared Azurite.
    pub fn new() -> Self {
        Self::on(azurite().fresh_account())
    }

    pub fn on(connection: String) -> Self {
        Self { folder: AppFolder::get(), connection, port: fixed_port() }
    }

    /// An app in its own folder, which the test may change.
    pub fn staged() -> Self {
        Self { folder: AppFolder::harness(), connection: azurite().fresh_account(), port: fixed_port() }
    }

    /// Another app on the same account, as a deployment makes one.
    pub fn another(&self) -> Self {
        Self::on(self.connection.clone())
    }

    /// The options of a host for this app. The timer fires every second, so that no test waits long for a sweep.
    pub fn options(&self) -> HostOptions {
        let on_azure = [
            ("USE_AZURE_SERVICES", "true"),
            ("RATE_LIMIT_PER_SECOND", "0"),
            ("AzureWebJobsStorage", &*self.connection),
            ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8"),
            ("FUNCTIONS_WORKER_RUNTIME", "custom"),
        ];
        HostOptions {
            app: self.folder.path(),
            settings: CONFIGURED.into_iter().chain(on_azure).map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            port: 0,
            handler_port: self.port,
            timer_period: Some(Duration::from_secs(1)),
            knows_proxying: true,
            patience: Patience::default(),
        }
    }

    pub async fn host(&self) -> Host {
        Host::start(self.options()).await
    }

    /// Starts a host whose app knows the address that clients call, as the platform tells it.
    pub async fn host_that_knows_its_address(&self) -> Host {
        let mut options = self.options();
        options.port = fixed_port();
        options.settings.push(("WEBSITE_HOSTNAME".to_owned(), format!("127.0.0.1:{}", options.port)));
        Host::start(options).await
    }

    /// Starts a host with more settings.
    pub async fn host_with(&self, settings: &[(&str, &str)]) -> Host {
        let mut options = self.options();
        options.settings.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Host::start(options).await
    }

    /// The queue of wake-ups and its poison queue.
    pub fn queues(&self) -> (QueueClient, QueueClient) {
        let settings = azurite::settings(&self.connection);
        let location = CloudLocation::Custom { account: settings.account.clone(), uri: settings.queue_endpoint };
        let credentials = StorageCredentials::access_key(settings.account, azurite::KEY.to_owned());
        let builder = QueueServiceClientBuilder::with_location(location, credentials).retry(RetryOptions::none());
        let service = builder.build();
        (service.queue_client("deliveries"), service.queue_client("deliveries-poison"))
    }
}

pub async fn login(host: &Host) -> Api {
    Api::login(&host.url(), CLIENT, KEY).await
}

/// A client that checks every answer against the contract.
pub fn caller(host: &Host) -> ApiClient {
    ApiClient::new(host.address(), CLIENT, KEY)
}

/// Waits until a condition holds.
pub async fn until(host: &Host, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to that:\n{}", host.log());
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for a message in a queue, which need not exist yet, and receives it.
pub async fn message(queue: &QueueClient) -> Message {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let received = queue.get_messages().await.map(|answer| answer.messages).unwrap_or_default();
        if let Some(message) = received.into_iter().next() {
            return message;
        }
        assert!(Instant::now() < deadline, "nothing comes to {}", queue.queue_name());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until a queue has no messages, hidden or not, but the dead man's switch, which is always on its way.
pub async fn emptied(queue: &QueueClient) {
    let deadline = Instant::now() + PATIENCE;
    while queue.get_metadata().await.unwrap().approximate_messages_count > 1 {
        assert!(Instant::now() < deadline, "{} is not emptied", queue.queue_name());
        sleep(Duration::from_millis(100)).await;
    }
}

/// The lines of `deliverDueConversations` that say of one or more attempts, or of none.
pub fn runs(host: &Host, attempted: bool) -> usize {
    let lines = host.lines(Source::Function);
    attempts_of_runs(&lines).filter(|attempts| (*attempts > 0) == attempted).count()
}

/// The number of attempts of each run of `deliverDueConversations` that the lines of the host have.
pub fn attempts_of_runs(lines: &[String]) -> impl Iterator<Item = u64> {
    let figures = lines.iter().filter_map(|line| line.find('{').map(|start| &line[start..]));
    figures.filter_map(|json| serde_json::from_str::<Value>(json).ok()?["attempts"].as_u64())
}
