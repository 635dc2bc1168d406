//! Starts the binary, reads its output, and ends it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_mcp-scheduler");
pub const CLIENT: &str = "tester";
pub const KEY: &str = "a-key-for-the-process-tests";

pub const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Settings with a client, keys and a secret, so that the first start makes none and tokens survive restarts.
pub const CONFIGURED: [(&str, &str); 5] = [
    ("SCHEDULER_CLIENT_ID", CLIENT),
    ("SCHEDULER_API_KEY", KEY),
    ("JWT_SIGNING_KEYS", "test:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
    ("WEBHOOK_SIGNING_SECRETS", SECRET),
    ("DATA_ENCRYPTION_KEYS", "test:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
];

/// The working directory of one test. The logs are beside it.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for part in ["cwd", "tmp"] {
            fs::create_dir(dir.path().join(part)).unwrap();
        }
        Self { dir }
    }

    pub fn cwd(&self) -> PathBuf {
        self.dir.path().join("cwd")
    }

    /// The `TMPDIR` of the binary.
    pub fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    pub fn data(&self) -> PathBuf {
        self.cwd().join(".scheduler")
    }

    /// A command for the binary in this place, with only these settings, on a free port unless they set one.
    pub fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.cwd()).env_clear();
        command.env("TMPDIR", self.tmp()).env("PORT", "0").envs(settings.iter().copied());
        command
    }

    /// Runs the binary with arguments with which it ends by itself.
    pub fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        self.command(arguments, settings).output().unwrap()
    }

    /// Starts the service and waits until it prints its address.
    pub fn start(&self, settings: &[(&str, &str)]) -> Service {
        let mut service = self.spawn(settings);
        service.wait_until_listening();
        service
    }

    /// Starts the service without waiting.
    pub fn spawn(&self, settings: &[(&str, &str)]) -> Service {
        self.spawn_command(self.command(&[], settings))
    }

    pub fn spawn_command(&self, mut command: Command) -> Service {
        let (out, err) = (self.dir.path().join("stdout"), self.dir.path().join("stderr"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Service { child: command.spawn().unwrap(), out, err, url: String::new() }
    }
}

/// A running service. Dropping it kills it.
pub struct Service {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    url: String,
}

impl Service {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The memory that the process has, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most memory that the process has had, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn stdout(&self) -> String {
        read_log(&self.out)
    }

    pub fn stderr(&self) -> String {
        read_log(&self.err)
    }

    /// Waits until stdout contains this text, and returns all of it so far.
    pub fn stdout_with(&self, text: &str) -> String {
        read_log_with(&self.out, text)
    }

    /// Waits until stderr contains this text, and returns all of it so far.
    pub fn stderr_with(&self, text: &str) -> String {
        read_log_with(&self.err, text)
    }

    pub fn wait_until_listening(&mut self) {
        let listening = |out: &str| {
            // Under the Functions host it is a line of the log.
            let said = out.lines().find_map(|line| line.split_once(" is listening on "))?.1;
            let url = said.split('"').next()?;
            Some(url.to_owned()).filter(|_| out.ends_with('\n'))
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(url) = listening(&fs::read_to_string(&self.out).unwrap()) {
                self.url = url;
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the service ended with {status}:\n{}", self.stderr());
            }
            assert!(Instant::now() < deadline, "the service does not listen:\n{}", self.stderr());
            sleep(Duration::from_millis(2));
        }
    }

    /// Sends a signal by its name and does not wait.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end for at most ten seconds, which is the promise of the service for a stop.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("the service still runs after ten seconds:\n{}", self.stderr());
    }

    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.stderr());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All files below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The names in a directory.
pub fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The log as it is after all that has happened: the service writes it some milliseconds late.
fn read_log(file: &Path) -> String {
    sleep(Duration::from_millis(20));
    fs::read_to_string(file).unwrap()
}

fn read_log_with(file: &Path, text: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = read_log(file);
        if log.contains(text) {
            return log;
        }
        assert!(Instant::now() < deadline, "{text} is not in the log:\n{log}");
    }
}
