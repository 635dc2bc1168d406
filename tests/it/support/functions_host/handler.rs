//! The process of the handler: its start, its ping, and its restarts.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::app::FunctionApp;
use super::log::{Log, Source};

/// The exit code after which the host restarts the handler without counting a failure.
const START_AGAIN: i32 = 200;
const STRIKES: usize = 3;
/// Failures that are further apart than this are not counted together.
const STRIKE_WINDOW: Duration = Duration::from_mins(30);
const PING_EVERY: Duration = Duration::from_millis(25);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Started, and without an answer to the ping yet. Invocations wait.
    Starting,
    /// The handler has answered. The host does not notice when it exits with 0 afterwards.
    Ready,
    /// The host has ended.
    Stopped,
}

/// The host has stopped, or its handler does not become ready.
#[derive(Debug, thiserror::Error)]
#[error("the handler is not running")]
pub(super) struct NotRunning;

pub(super) struct Handler {
    pub address: SocketAddr,
    state: watch::Sender<State>,
    child: Mutex<Option<Child>>,
    /// The host itself ends the process, which is no failure of the handler.
    ended_by_host: AtomicBool,
    starts: AtomicU32,
    log: Log,
}

impl Handler {
    pub fn new(address: SocketAddr, log: Log) -> Self {
        Self {
            address,
            state: watch::Sender::new(State::Starting),
            child: Mutex::default(),
            ended_by_host: AtomicBool::new(false),
            starts: AtomicU32::new(0),
            log,
        }
    }

    /// Keeps a process running until it ends with 0 or has failed too often.
    pub async fn supervise(&self, app: &FunctionApp, settings: &[(String, String)], http: &reqwest::Client) {
        let mut strikes: Vec<Instant> = Vec::new();
        loop {
            self.spawn(app, settings);
            let ready = timeout(app.initialization_timeout, self.answers(http));
            let ended = tokio::select! {
                ready = ready => if ready.is_ok() {
                    self.state.send_replace(State::Ready);
                    Some(self.ended().await)
                } else {
                    self.log.add(Source::Host, "the handler did not get ready in time");
                    self.kill();
                    self.ended().await;
                    None
                },
                status = self.ended() => Some(status),
            };
            match ended.and_then(|status| status.code()) {
                _ if self.ended_by_host.swap(false, Ordering::Relaxed) => {}
                Some(0) => {
                    // The state stays, so every later call fails to connect.
                    self.log.add(Source::Host, "the handler ended with 0 and is not started again");
                    return;
                }
                Some(START_AGAIN) => {}
                _ => {
                    self.log.add(Source::Host, format!("the handler failed: {ended:?}"));
                    let now = Instant::now();
                    if strikes.last().is_some_and(|last| now.duration_since(*last) > STRIKE_WINDOW) {
                        strikes.clear();
                    }
                    strikes.push(now);
                }
            }
            if strikes.len() == STRIKES {
                self.log.add(Source::Host, "the handler failed too often; the host ends");
                self.give_up();
                return;
            }
            self.state.send_replace(State::Starting);
        }
    }

    fn spawn(&self, app: &FunctionApp, settings: &[(String, String)]) {
        let (port, root) = (self.address.port().to_string(), app.root.as_os_str());
        // A real host passes its own environment on as well; here the handler gets only these settings.
        let mut command = Command::new(&app.program);
        command.current_dir(&app.root).env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
        for name in ["FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"] {
            command.env(name, &port);
        }
        for name in ["FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "FUNCTIONS_HTTPWORKER_ID"] {
            command.env(name, "00000000-0000-4000-8000-000000000001");
        }
        command.env("FUNCTIONS_APP_ROOT_PATH", root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", app.program.display()));
        self.log.follow(Source::Stdout, child.stdout.take().unwrap());
        self.log.follow(Source::Stderr, child.stderr.take().unwrap());
        *self.child.lock().unwrap() = Some(child);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until the handler answers the ping, with any status.
    async fn answers(&self, http: &reqwest::Client) {
        while http.get(format!("http://{}/", self.address)).send().await.is_err_and(|error| error.is_connect()) {
            sleep(PING_EVERY).await;
        }
    }

    async fn ended(&self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.lock().unwrap().as_mut().and_then(|child| child.try_wait().unwrap()) {
                return status;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the handler can be called.
    pub async fn ready(&self, patience: Duration) -> Result<(), NotRunning> {
        let mut state = self.state.subscribe();
        let waiting = state.wait_for(|state| *state != State::Starting);
        match timeout(patience, waiting).await {
            Ok(Ok(state)) if *state == State::Ready => Ok(()),
            _ => Err(NotRunning),
        }
    }

    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// The host ends.
    pub fn give_up(&self) {
        self.state.send_replace(State::Stopped);
    }

    pub fn is_running(&self) -> bool {
        self.child.lock().unwrap().as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits until the host has ended, which may be for ever.
    pub async fn stopped(&self) {
        // This cannot fail, because the sender is in `self`.
        let _ = self.state.subscribe().wait_for(|state| *state == State::Stopped).await;
    }

    /// The number of starts.
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    /// SIGKILL, from outside.
    pub fn kill(&self) {
        if let Some(child) = self.child.lock().unwrap().as_mut() {
            let _ = child.kill();
        }
    }

    /// SIGTERM, from outside.
    pub fn terminate(&self) {
        let pid = self.child.lock().unwrap().as_ref().map(Child::id);
        if let Some(pid) = pid {
            assert!(Command::new("sh").args(["-c", &format!("kill -s TERM {pid}")]).status().unwrap().success());
        }
    }

    /// SIGKILL, by the host, which then starts another.
    pub fn replace(&self) {
        self.ended_by_host.store(true, Ordering::Relaxed);
        self.kill();
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = self.child.get_mut().unwrap() {
            let _ = child.wait();
        }
    }
}
