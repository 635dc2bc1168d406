//! The command line: `mcp-scheduler` serves, `mcp-scheduler demo` shows.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use mcp_scheduler::app::{self, App};
use mcp_scheduler::config::Config;
use mcp_scheduler::domain::{Scope, Scopes};
use mcp_scheduler::{credentials::Credentials, demo};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Half the allocations of a schedule are freed on another thread (the store's writer), which is what
/// the C library's allocator is worst at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
mcp-scheduler: deliver a text to an HTTP endpoint at a time

Usage:
  mcp-scheduler                   start the service (settings: see README.md)
  mcp-scheduler demo              schedule one conversation and watch it arrive
  mcp-scheduler client add NAME [--read-only]
                                  make another client and print its API key;
                                  a read-only one can look, and schedule nothing
  mcp-scheduler --version
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => run(serve),
        ["demo"] => run(async |_| demo::run().await.map(|()| ExitCode::SUCCESS)),
        ["client", "add", name] if !name.starts_with('-') => {
            run(async |config| add_client(&config, name, Scopes::all()).await)
        }
        ["client", "add", name, "--read-only"] if !name.starts_with('-') => {
            run(async |config| add_client(&config, name, Scope::Read.into()).await)
        }
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ["--version" | "-V"] => {
            println!("mcp-scheduler {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("mcp-scheduler: unknown arguments: {}\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("mcp-scheduler: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn add_client(config: &Config, name: &str, scopes: Scopes) -> Result<ExitCode, String> {
    let key = app::add_client(config, name, scopes).await?;
    println!(
        "client id  {name}\napi key    {}\nscopes     {scopes}\n\nThe key is not kept and will not be shown again.",
        key.secret().expose()
    );
    Ok(ExitCode::SUCCESS)
}

/// Reads the configuration, sets up the log and runs a command.
fn run<F: Future<Output = Result<ExitCode, String>>>(command: impl FnOnce(Config) -> F) -> Result<ExitCode, String> {
    let config = Config::from_env().map_err(|e| e.to_string())?;
    // The Functions host takes every line on stderr for an error, and every line on stdout for none.
    let only_errors = io::stderr.with_max_level(if config.under_host { Level::ERROR } else { Level::TRACE });
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(only_errors.or_else(io::stdout)).with_ansi(false))
        .with(config.log.clone())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(command(config))
}

/// What the Functions host takes for "start me again". It lets a process that exits with 0 lie, and
/// fails every call from then on (`WorkerProcess.OnProcessExited`).
const RESTART: u8 = 200;

async fn serve(config: Config) -> Result<ExitCode, String> {
    let under_host = config.under_host;
    // Before anything can be under way, so that no signal ends the process by force.
    let stop = stop_on_signal().map_err(|e| format!("cannot receive signals: {e}"))?;
    let app = App::start(config).await.map_err(|e| e.to_string())?;
    // In one piece: whoever waits for the address finds the rest there, too. Nobody may be reading,
    // and the service goes on.
    let _ = io::stdout().write_all((greeting(&app, under_host) + "\n").as_bytes());
    app.run(stop).await;
    Ok(if under_host { ExitCode::from(RESTART) } else { ExitCode::SUCCESS })
}

/// Cancelled at the first SIGTERM or SIGINT.
fn stop_on_signal() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopped.cancel();
    });
    Ok(stop)
}

fn greeting(app: &App, under_host: bool) -> String {
    let address = app.address();
    let listening = format!("mcp-scheduler {} is listening on http://{address}", env!("CARGO_PKG_VERSION"));
    match app.credentials() {
        // The host keeps what we print, and a key is nothing to keep.
        Some(credentials) if credentials.new && !under_host => {
            format!("{listening}\n{}", first_steps(address, credentials))
        }
        Some(kept) => format!("{listening}\nClient {}; its API key is in {}", kept.client, kept.path.display()),
        None => listening,
    }
}

/// Shown once. The example calls the service's own health check, so that it works without a receiver.
fn first_steps(mut address: SocketAddr, credentials: &Credentials) -> String {
    if address.ip().is_unspecified() {
        // All addresses is none that can be called.
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{address}");
    let Credentials { client, api_key, path, .. } = credentials;
    format!(
        r#"
A client was made for this first start. It is kept in {path}:

  client id  {client}
  api key    {key}

Try it: get a token, let the service call its own health check in 10 seconds, and look.

TOKEN=$(curl -s {url}/api/auth/token -H 'Content-Type: application/json' \
  -d '{{"clientId":"{client}","apiKey":"{key}"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')

ID=$(curl -s {url}/api/scheduler/schedule -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -d '{{"conversationText":"Hello","method":"GET","endpoint":"{url}/health","scheduledTime":"'$(date -u -d '+10 seconds' +%FT%TZ 2>/dev/null || date -u -v+10S +%FT%TZ)'"}}' \
  | sed 's/.*"conversationId":"\([^"]*\)".*/\1/'); echo "scheduled $ID"

curl -s {url}/api/scheduler/status/$ID -H "Authorization: Bearer $TOKEN"; echo"#,
        path = path.display(),
        key = api_key.secret().expose(),
    )
}
