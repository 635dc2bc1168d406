//! Azurite, the stand-in for Azure storage: one process for each test process, started when it is
//! first needed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mcp_scheduler::store::{AzureNames, AzureSettings, AzureStore};
use tempfile::TempDir;

/// The account that every Azurite has, and its key, which every Azurite has.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running Azurite.
pub struct Azurite {
    pub tables: SocketAddr,
    pub queues: SocketAddr,
    process: Child,
    _location: TempDir,
}

/// The one that all tests of this process share.
pub fn azurite() -> &'static Azurite {
    static SHARED: OnceLock<Azurite> = OnceLock::new();
    SHARED.get_or_init(Azurite::start)
}

impl Azurite {
    /// Starts one on free ports and waits until it answers.
    pub fn start() -> Self {
        let location = tempfile::tempdir().unwrap();
        let [blobs, queues, tables] = free_ports();
        let process = command(location.path(), blobs, queues, tables).spawn().expect("node starts");
        let started = Self { tables, queues, process, _location: location };
        let deadline = Instant::now() + Duration::from_mins(1);
        while !(answers(started.tables) && answers(started.queues)) {
            assert!(Instant::now() < deadline, "Azurite does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }

    /// What `AzureWebJobsStorage` would say.
    pub fn connection_string(&self) -> String {
        connection_string(self.tables, self.queues)
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

/// The emulator's account behind other addresses.
pub fn connection_string(tables: SocketAddr, queues: SocketAddr) -> String {
    format!(
        "AccountName={ACCOUNT};AccountKey={KEY};TableEndpoint=http://{tables}/{ACCOUNT};\
         QueueEndpoint=http://{queues}/{ACCOUNT}"
    )
}

pub fn settings(connection_string: &str) -> AzureSettings {
    AzureSettings::from_vars(|name| (name == "AzureWebJobsStorage").then(|| connection_string.to_owned())).unwrap()
}

/// Tables and a queue that nobody else has.
pub fn fresh_names() -> AzureNames {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    AzureNames {
        conversations: format!("conversations{n}"),
        clients: format!("clients{n}"),
        hints: format!("hints{n}"),
    }
}

/// A store of a test's own on the shared Azurite.
pub fn store() -> AzureStore {
    store_at(&azurite().connection_string(), &fresh_names())
}

pub fn store_at(connection_string: &str, names: &AzureNames) -> AzureStore {
    AzureStore::new(&settings(connection_string), names, std::sync::Arc::new(mcp_scheduler::clock::SystemClock))
        .unwrap()
}

fn command(location: &Path, blobs: SocketAddr, queues: SocketAddr, tables: SocketAddr) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/azurite/node_modules/azurite/dist/src/azurite.js");
    assert!(script.exists(), "Azurite is not installed: run scripts/test, which puts it under target/");
    // The tests' process keeps the one end of this pipe: when it ends, however it ends, so does Azurite.
    let watched = "process.stdin.resume().on('end', () => process.exit()); require(process.argv[1])";
    let mut command = Command::new("node");
    command.args(["-e", watched]).arg(script).args(["--silent", "--disableTelemetry", "--location"]).arg(location);
    for (service, address) in [("blob", blobs), ("queue", queues), ("table", tables)] {
        command.args([format!("--{service}Host"), address.ip().to_string()]);
        command.args([format!("--{service}Port"), address.port().to_string()]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn free_ports() -> [SocketAddr; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!("GET /{ACCOUNT} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).is_ok() && stream.read(&mut [0; 1]).is_ok_and(|read| read > 0)
}
