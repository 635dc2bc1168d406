//! A stand-in for the Azure Functions host, version 4, that a custom handler cannot tell from the real one.
//!
//! It reads a staged function app (`host.json`, a `function.json` in each folder beside it), starts the program that
//! `host.json` names, proxies HTTP requests to it, sends it the messages of its queues and calls its timers. So a
//! wrong file, a wrong answer or a wrong exit code fails here as it would there. Each part follows the
//! sources of the host and of its extensions: `azure-functions-host` (`Workers/Http`, `Workers/ProcessManagement`),
//! `azure-sdk-for-net` (`QueueListener`, `QueueProcessor`), `azure-webjobs-sdk-extensions` (timers). Where a host that
//! was built and run did something else than its sources say, the stand-in does what that host did.
//!
//! A feature that it does not have ends the test with an error; it ignores nothing silently.
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
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app::{FunctionApp, Trigger};
use handler::{Handler, State};
use log::Log;
pub use log::Source;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// The version that the stand-in reports.
const VERSION: &str = "4.1052.200";

/// The options of a host.
pub struct HostOptions {
    /// The staged app: the folder with `host.json`.
    pub app: PathBuf,
    /// The app settings, which are the environment of the handler. `AzureFunctionsJobHost__a__b` replaces
    /// `a.b` in `host.json`, as it does on Azure.
    pub settings: Vec<(String, String)>,
    /// The port of the host itself; 0 for any.
    pub port: u16,
    /// The port of the handler on 127.0.0.1, which stays the same over its restarts.
    pub handler_port: u16,
    /// The period of every timer, in place of its schedule.
    pub timer_period: Option<Duration>,
    /// False for an older host, which does not know `enableProxyingHttpRequest` and forwards requests.
    pub knows_proxying: bool,
    pub patience: Patience,
}

/// The time for which a host waits before it ends. The defaults were measured.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The wait for storage at the start.
    pub start: Duration,
    /// The wait for storage when a queue is polled.
    pub poll: Duration,
    /// The wait for storage when a failed message is released.
    pub release: Duration,
    /// The wait for calls in flight at the shutdown.
    pub shutdown: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [start, poll, release, shutdown] = [32, 41, 30, 10].map(Duration::from_secs);
        Self { start, poll, release, shutdown }
    }
}

/// Calls that exceed the function's timeout within this time end the host.
const TOGETHER: Duration = Duration::from_secs(1);

/// A running host. Dropping it plays the sudden death of the instance: the handler is killed, and received messages stay
/// locked. A host that has ended by itself leaves its handler running until it is dropped.
pub struct Host {
    instance: Arc<Instance>,
    address: SocketAddr,
    drain: CancellationToken,
    front: JoinSet<()>,
    triggers: JoinSet<()>,
    supervisor: JoinSet<()>,
    patience: Patience,
}

/// The state that the parts of a host share.
struct Instance {
    id: String,
    app: FunctionApp,
    settings: Vec<(String, String)>,
    /// When a call last exceeded its timeout.
    timed_out: Mutex<Option<Instant>>,
    handler: Handler,
    /// The client for requests to the handler. It keeps its connections.
    http: reqwest::Client,
    log: Log,
}

impl Instance {
    fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(setting, _)| setting == name);
        found.map_or_else(|| panic!("there is no setting {name}"), |(_, value)| value)
    }

    /// The host's process ends. Its handler is not told, and goes on.
    fn end(&self, why: &str) {
        self.log.add(Source::Host, format!("{why}; the host ends"));
        self.handler.give_up();
    }

    /// Ends the handler, and the host too when several calls come here together.
    fn end_after_timeout(&self) {
        let before = self.timed_out.lock().unwrap().replace(Instant::now());
        if before.is_some_and(|before| before.elapsed() < TOGETHER) {
            self.end("several calls exceeded their timeout");
        }
        self.handler.replace();
    }
}

impl Host {
    /// Starts a host, which starts the handler. It accepts requests at once; they wait for the handler.
    pub async fn start(options: HostOptions) -> Self {
        let HostOptions { app, settings, port, handler_port, timer_period, knows_proxying, patience } = options;
        let app = FunctionApp::read(&app, &settings, knows_proxying);
        let log = Log::default();
        let handler = Handler::new(([127, 0, 0, 1], handler_port).into(), log.clone());
        let (id, timed_out, http) = (invocation::new_id(), Mutex::default(), http_client());
        let instance = Arc::new(Instance { id, app, settings, timed_out, handler, http, log });
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (address, drain) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (mut front, mut triggers, mut supervisor) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let (shared, draining) = (Arc::clone(&instance), drain.clone());
        front.spawn(async move {
            tokio::select! {
                () = front::serve(&shared, listener, draining) => {}
                () = shared.handler.stopped() => {}
            }
        });
        let shared = Arc::clone(&instance);
        supervisor.spawn(async move {
            tokio::select! {
                () = shared.handler.supervise(&shared.app, &shared.settings, &shared.http) => {}
                () = shared.handler.stopped() => {}
            }
        });
        for function in &instance.app.functions {
            let (instance, name) = (Arc::clone(&instance), function.name.clone());
            match &function.trigger {
                Trigger::Http { .. } => {}
                Trigger::Queue(trigger) => {
                    triggers.spawn(queue::listen(instance, name, trigger.clone(), patience, drain.clone()));
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
        Self { instance, address, drain, front, triggers, supervisor, patience }
    }

    /// The URL of the host, without a slash at the end.
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

    /// Sends SIGKILL to the handler. The host starts another one, or stops after the third failure.
    pub fn kill_handler(&self) {
        self.instance.handler.kill();
    }

    /// Sends SIGTERM to the handler. The real host never does, but the platform can.
    pub fn terminate_handler(&self) {
        self.instance.handler.terminate();
    }

    /// Whether the host has ended by itself. The platform would start another instance.
    pub fn has_stopped(&self) -> bool {
        self.instance.handler.state() == State::Stopped
    }

    /// Whether the handler's process runs.
    pub fn handler_is_running(&self) -> bool {
        self.instance.handler.is_running()
    }

    /// The number of starts of the handler.
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

    /// Plays the orderly removal of an instance: the host receives no more messages, waits for the calls in flight, and
    /// kills the handler. If the calls last too long, the host ends without them and leaves the handler running.
    pub async fn shut_down(&mut self) {
        self.drain.cancel();
        let calls = async {
            while self.triggers.join_next().await.is_some() {}
            while self.front.join_next().await.is_some() {}
        };
        let in_time = timeout(self.patience.shutdown, calls).await.is_ok();
        timer::release_locks(&self.instance);
        self.supervisor.shutdown().await;
        if in_time {
            self.instance.handler.kill();
        }
        self.instance.end("it was shut down");
        self.triggers.shutdown().await;
        self.front.shutdown().await;
    }

    /// Plays the sudden death of the instance.
    pub async fn die(mut self) {
        // The tasks end before the handler, so that no call sees the handler's end.
        self.triggers.shutdown().await;
    }

    /// The lines of one source so far.
    pub fn lines(&self, source: Source) -> Vec<String> {
        self.instance.log.lines(source)
    }

    /// The whole log so far, for the message of a failing test.
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
