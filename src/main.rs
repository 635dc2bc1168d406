//! The command line: `mcp-scheduler` serves, `mcp-scheduler demo` shows.

use std::process::ExitCode;

use mcp_scheduler::app::{self, App};
use mcp_scheduler::config::Config;
use mcp_scheduler::{credentials::Credentials, demo};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
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
  mcp-scheduler client add NAME   make another client and print its API key
  mcp-scheduler --version
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => run(serve),
        ["demo"] => run(|_| demo::run()),
        ["client", "add", name] => run(async |config| {
            let key = app::add_client(&config, name).await?;
            println!(
                "client id  {name}\napi key    {}\n\nThe key is not kept and will not be shown again.",
                key.secret().expose()
            );
            Ok(())
        }),
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            Ok(())
        }
        ["--version" | "-V"] => {
            println!("mcp-scheduler {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        _ => Err(format!("unknown arguments: {}\n\n{HELP}", arguments.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mcp-scheduler: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration, sets up the log and runs a command.
fn run<F: Future<Output = Result<(), String>>>(command: impl FnOnce(Config) -> F) -> Result<(), String> {
    let config = Config::from_env().map_err(|e| e.to_string())?;
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false))
        .with(config.log.clone())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(command(config))
}

async fn serve(config: Config) -> Result<(), String> {
    let app = App::start(config).await.map_err(|e| e.to_string())?;
    greet(&app);
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    app.run(stop).await;
    Ok(())
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received; stop the process by force");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}

fn greet(app: &App) {
    let url = format!("http://{}", app.address());
    println!("mcp-scheduler {} is listening on {url}", env!("CARGO_PKG_VERSION"));
    match app.credentials() {
        Some(credentials) if credentials.new => println!("{}", first_steps(&url, credentials)),
        Some(kept) => println!("Client {}; its API key is in {}", kept.client, kept.path.display()),
        None => {}
    }
}

/// Shown once. The example calls the service's own health check, so that it works without a receiver.
fn first_steps(url: &str, credentials: &Credentials) -> String {
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

curl -s {url}/api/scheduler/status/$ID -H "Authorization: Bearer $TOKEN"
"#,
        path = path.display(),
        key = api_key.secret().expose(),
    )
}
