//! Azurite, the emulator of Azure storage. Each test process starts one when a test first needs it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mcp_scheduler::store::{AzureNames, AzureSettings, AzureStore};
use mcp_scheduler::time::{MachineClock, SystemClock};
use tempfile::TempDir;

use super::ports::fixed_port;
use super::service::files;

/// The account that every Azurite has, and its public key.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The number of additional accounts.
const ACCOUNTS: u32 = 64;

/// A running Azurite.
pub struct Azurite {
    pub tables: SocketAddr,
    pub queues: SocketAddr,
    blobs: SocketAddr,
    process: Child,
    location: TempDir,
}

/// The Azurite that all tests of this process share.
pub fn azurite() -> &'static Azurite {
    static SHARED: OnceLock<Azurite> = OnceLock::new();
    SHARED.get_or_init(Azurite::start)
}

impl Azurite {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        let location = tempfile::tempdir().unwrap();
        let [blobs, queues, tables] = [(); 3].map(|()| ([127, 0, 0, 1], fixed_port()).into());
        let process = command(location.path(), blobs, queues, tables).spawn().expect("node starts");
        let started = Self { tables, queues, blobs, process, location };
        started.wait();
        started
    }

    /// Stops the process with SIGTERM, so that it writes its data to disk; otherwise it writes every few seconds.
    pub fn stop(&mut self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -s TERM {}", self.pid())]).status().unwrap();
        assert!(sent.success());
        // `wait` closes the pipe, and the process would exit before it has written.
        let pipe = self.process.stdin.take();
        self.process.wait().unwrap();
        drop(pipe);
    }

    /// The bytes of all files in which it keeps tables and queues, complete after a stop.
    pub fn stored(&self) -> Vec<u8> {
        files(self.location.path()).into_iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// Starts again after a stop, at the same addresses and with the same data.
    pub fn start_again(&mut self) {
        let mut command = command(self.location.path(), self.blobs, self.queues, self.tables);
        self.process = command.spawn().expect("node starts");
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !(answers(self.tables) && answers(self.queues)) {
            assert!(Instant::now() < deadline, "Azurite does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The value of `AzureWebJobsStorage`.
    pub fn connection_string(&self) -> String {
        connection_string(self.tables, self.queues)
    }

    /// The connection string of an account that no other test uses.
    pub fn fresh_account(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(n < ACCOUNTS, "raise ACCOUNTS");
        connection_string_of(&account(n), self.tables, self.queues)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The connection string of the account at other addresses.
pub fn connection_string(tables: SocketAddr, queues: SocketAddr) -> String {
    connection_string_of(ACCOUNT, tables, queues)
}

fn connection_string_of(account: &str, tables: SocketAddr, queues: SocketAddr) -> String {
    format!(
        "AccountName={account};AccountKey={KEY};TableEndpoint=http://{tables}/{account};\
         QueueEndpoint=http://{queues}/{account}"
    )
}

/// The same connection string with another address for its tables.
pub fn with_tables_at(tables: SocketAddr, connection_string: &str) -> String {
    let settings = settings(connection_string);
    connection_string.replace(&settings.table_endpoint, &format!("http://{tables}/{}", settings.account))
}

fn account(n: u32) -> String {
    format!("account{n}")
}

pub fn settings(connection_string: &str) -> AzureSettings {
    AzureSettings::from_vars(|name| (name == "AzureWebJobsStorage").then(|| connection_string.to_owned())).unwrap()
}

/// Names of tables and a queue that no other test uses.
pub fn fresh_names() -> AzureNames {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    AzureNames {
        conversations: format!("conversations{n}"),
        clients: format!("clients{n}"),
        wake_ups: format!("hints{n}"),
    }
}

/// A new store on the shared Azurite.
pub fn store() -> AzureStore {
    store_at(&azurite().connection_string(), &fresh_names())
}

pub fn store_at(connection_string: &str, names: &AzureNames) -> AzureStore {
    store_under(connection_string, names, Arc::new(SystemClock))
}

/// A store with this clock.
pub fn store_under(connection_string: &str, names: &AzureNames, clock: Arc<dyn MachineClock>) -> AzureStore {
    AzureStore::new(&settings(connection_string), names, clock).unwrap()
}

fn command(location: &Path, blobs: SocketAddr, queues: SocketAddr, tables: SocketAddr) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/azurite/node_modules/azurite/dist/src/azurite.js");
    assert!(script.exists(), "Azurite is not installed: run scripts/test, which puts it under target/");
    // The test process holds the other end of this pipe, so Azurite exits when the test process ends in any way.
    let watched = "process.stdin.resume().on('end', () => process.exit()).unref(); require(process.argv[1])";
    let mut command = Command::new("node");
    command.args(["-e", watched]).arg(script).args(["--silent", "--disableTelemetry", "--location"]).arg(location);
    for (service, address) in [("blob", blobs), ("queue", queues), ("table", tables)] {
        command.args([format!("--{service}Host"), address.ip().to_string()]);
        command.args([format!("--{service}Port"), address.port().to_string()]);
    }
    let accounts: Vec<_> =
        (0..ACCOUNTS).map(account).chain([ACCOUNT.to_owned()]).map(|name| format!("{name}:{KEY}")).collect();
    command.env("AZURITE_ACCOUNTS", accounts.join(";"));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!("GET /{ACCOUNT} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).is_ok() && stream.read(&mut [0; 1]).is_ok_and(|read| read > 0)
}
