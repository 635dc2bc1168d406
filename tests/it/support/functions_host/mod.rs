//! A stand-in for the Azure Functions host, version 4, as far as a custom handler can tell the difference.
//!
//! It reads a staged function app (`host.json`, a `function.json` in each folder beside it), starts the program that
//! `host.json` names, proxies HTTP requests to it, hands it the messages of its queues and calls its timers. So a
//! wrong file, a wrong answer or a wrong exit code fails here as it would there. What each part does follows the
//! sources of the host and of its extensions: `azure-functions-host` (`Workers/Http`, `Workers/ProcessManagement`),
//! `azure-sdk-for-net` (`QueueListener`, `QueueProcessor`), `azure-webjobs-sdk-extensions` (timers).
//!
//! What it does not play is refused with a word, never passed over in silence.
#![allow(dead_code)] // a small library: not every user of it needs everything

mod app;
mod front;
mod handler;
mod invocation;
mod log;
mod queue;
mod routes;
mod timer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use app::{FunctionApp, Trigger};
use handler::{Handler, State};
use log::Log;
pub use log::Source;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The version that the stand-in says it has.
const VERSION: &str = "4.1052.200";

/// What a host is started with.
pub struct HostOptions {
    /// The staged app: the folder with `host.json`.
    pub app: PathBuf,
    /// The app settings, which are the environment of the handler. `AzureFunctionsJobHost__a__b` stands in place of
    /// `a.b` in `host.json`, as it does on Azure.
    pub settings: Vec<(String, String)>,
    /// The port on which the host itself is called; 0 for any.
    pub port: u16,
    /// The port of the handler on 127.0.0.1, which stays the same over its restarts.
    pub handler_port: u16,
    /// Call every timer this often, whatever its schedule says.
    pub timer_period: Option<Duration>,
    /// False for an older host, which does not know `enableProxyingHttpRequest` and forwards.
    pub knows_proxying: bool,
}

/// A running host. Dropping it is the sudden death of the instance: the handler is killed, and what was taken from the
/// queue stays locked.
pub struct Host {
    instance: Arc<Instance>,
    address: SocketAddr,
    drain: CancellationToken,
    front: JoinSet<()>,
    triggers: JoinSet<()>,
    supervisor: JoinSet<()>,
}

/// What the parts of a host share.
struct Instance {
    app: FunctionApp,
    settings: Vec<(String, String)>,
    handler: Handler,
    /// To the handler. Connections are kept.
    http: reqwest::Client,
    log: Log,
}

impl Instance {
    fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(setting, _)| setting == name);
        found.map_or_else(|| panic!("there is no setting {name}"), |(_, value)| value)
    }
}

impl Host {
    /// Starts a host, which starts the handler. Requests are taken at once and wait for it.
    pub async fn start(options: HostOptions) -> Self {
        let HostOptions { app, settings, port, handler_port, timer_period, knows_proxying } = options;
        let app = FunctionApp::read(&app, &settings, knows_proxying);
        let log = Log::default();
        let handler = Handler::new(([127, 0, 0, 1], handler_port).into(), log.clone());
        let instance = Arc::new(Instance { app, settings, handler, http: http_client(), log });
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (address, drain) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (mut front, mut triggers, mut supervisor) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        front.spawn(front::serve(Arc::clone(&instance), listener));
        let shared = Arc::clone(&instance);
        supervisor.spawn(async move { shared.handler.supervise(&shared.app, &shared.settings, &shared.http).await });
        for function in &instance.app.functions {
            let (instance, name) = (Arc::clone(&instance), function.name.clone());
            match &function.trigger {
                Trigger::Http { .. } => {}
                Trigger::Queue(trigger) => {
                    triggers.spawn(queue::listen(instance, name, trigger.clone(), drain.clone()));
                }
                Trigger::Timer(trigger) => {
                    let (trigger, drain) = (trigger.clone(), drain.clone());
                    triggers.spawn(async move {
                        let stopped = Arc::clone(&instance);
                        tokio::select! {
                            () = timer::keep_time(instance, name, trigger, timer_period) => {}
                            () = stopped.handler.stopped() => {}
                            () = drain.cancelled() => {}
                        }
                    });
                }
            }
        }
        Self { instance, address, drain, front, triggers, supervisor }
    }

    /// Where the host takes requests, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the handler has answered the host's ping.
    pub async fn ready(&self) {
        let ready = self.instance.handler.ready(Duration::from_mins(1)).await;
        ready.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()));
    }

    /// SIGKILL to the handler; the host starts another one, or stops at the third failure.
    pub fn kill_handler(&self) {
        self.instance.handler.kill();
    }

    /// SIGTERM to the handler, which no host sends; somebody else may.
    pub fn terminate_handler(&self) {
        self.instance.handler.terminate();
    }

    /// Whether the handler has failed so often that the host has stopped. The platform would start another instance.
    pub fn has_stopped(&self) -> bool {
        self.instance.handler.state() == State::Stopped
    }

    /// How often the handler was started.
    pub fn handler_starts(&self) -> u32 {
        self.instance.handler.starts()
    }

    /// Calls a timer function now, and waits for its end.
    pub async fn fire_timer(&self, function: &str) {
        let trigger = self.instance.app.functions.iter().find(|known| known.name == function);
        let Some(Trigger::Timer(trigger)) = trigger.map(|function| &function.trigger) else {
            panic!("{function} is no timer function")
        };
        timer::fire(&self.instance, function, trigger).await;
    }

    /// What the platform does when it takes an instance away in order: nothing new is taken, calls under way end, the
    /// handler is killed.
    pub async fn shut_down(mut self) {
        self.drain.cancel();
        while self.triggers.join_next().await.is_some() {}
    }

    /// The death of the instance, at once.
    pub async fn die(mut self) {
        // Before the handler, whose end the calls under way would otherwise see.
        self.triggers.shutdown().await;
    }

    /// The lines of one source so far.
    pub fn lines(&self, source: Source) -> Vec<String> {
        self.instance.log.lines(source)
    }

    /// Everything that was written down so far, for the message of a failing test.
    pub fn log(&self) -> String {
        self.instance.log.text()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.supervisor.abort_all();
        self.instance.handler.kill();
    }
}

#[allow(clippy::disallowed_methods)] // a caller, not a part of the service
fn http_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.tcp_nodelay(true).http1_only().build().unwrap()
}
