//! `mcp-scheduler dev`: a service of which nothing is kept, and whose clock can be turned.

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::thread;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::greeting::{listening, program};
use super::output::print;
use super::serve::stop_on_signal;
use crate::app::{App, DevClient};
use crate::config::{Config, ConfigError};

/// Start a service for development and tests: nothing is kept, and its clock can be turned
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mcp-scheduler dev\n  mcp-scheduler dev --port 0 --json --until-stdin-closes")]
pub(super) struct DevArguments {
    /// The port on 127.0.0.1; 0 is any free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Print one line of JSON, with the url, clientId, apiKey and signingSecret
    #[arg(long)]
    json: bool,
    /// End when standard input ends, for a program that starts this one and may end without stopping it
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(config: Config, arguments: DevArguments) -> Result<ExitCode, String> {
    let stop = stop_on_signal().map_err(|error| format!("cannot receive signals: {error}"))?;
    let config = for_development(config, arguments.port).map_err(|error| error.to_string())?;
    let (app, client) = App::start_dev(config).await.map_err(|error| error.to_string())?;
    print(if arguments.json { line(&app, &client) } else { greeting(&app, &client) })?;
    if arguments.until_stdin_closes {
        stop_when_stdin_closes(stop.clone());
    }
    app.run(stop).await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The settings of a laptop, whatever the settings of a service here are. Only the log and the networks that deliveries may
/// reach are those of the environment.
fn for_development(given: Config, port: u16) -> Result<Config, ConfigError> {
    let networks: Vec<_> = given.delivery.endpoints.allowed_networks.iter().map(ToString::to_string).collect();
    let networks = ["127.0.0.0/8", "::1/128"].map(str::to_owned).into_iter().chain(networks).collect::<Vec<_>>();
    let config = Config::from_vars(|name| match name {
        "PORT" => Some(port.to_string()),
        "DELIVERY_ALLOWED_NETWORKS" => Some(networks.join(",")),
        _ => None,
    })?;
    Ok(Config { telemetry: given.telemetry, ..config })
}

/// Reads standard input in a thread of its own, because a read cannot be cancelled.
fn stop_when_stdin_closes(stop: CancellationToken) {
    thread::spawn(move || {
        let (mut stdin, mut buffer) = (io::stdin().lock(), [0; 256]);
        while stdin.read(&mut buffer).is_ok_and(|read| read > 0) {}
        stop.cancel();
    });
}

/// What a program needs to know.
fn line(app: &App, client: &DevClient) -> String {
    let DevClient { id, api_key, signing_secret } = client;
    let url = format!("http://{}", app.address());
    json!({
        "url": url, "clientId": id.as_str(), "apiKey": api_key.expose(), "signingSecret": signing_secret.expose(),
    })
    .to_string()
}

/// What a person needs to know. It contains the API key, which is a new one at each start.
fn greeting(app: &App, client: &DevClient) -> String {
    let (url, program) = (format!("http://{}", app.address()), program(std::env::args().next()));
    let DevClient { id, api_key, signing_secret } = client;
    let (key, secret) = (api_key.expose(), signing_secret.expose());
    format!(
        "{listening} for development: nothing is kept

  client id       {id}
  api key         {key}
  signing secret  {secret}

See what arrives, and turn the clock:

  {url}/dev#{key}

Schedule something in another terminal:

  export SCHEDULER_URL={url} SCHEDULER_CLIENT_ID={id} SCHEDULER_API_KEY={key}
  {program} schedule \"Hello\" --in 4d --to {url}/dev/inbox

Turn the clock from a terminal:

  curl {url}/dev/clock -H \"Authorization: Bearer {key}\" --json '{{\"advance\": \"P4D\"}}'",
        listening = listening(app.address()),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn config(settings: &[(&str, &str)]) -> Config {
        let found = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        for_development(Config::from_vars(found).unwrap(), 9).unwrap()
    }

    #[test]
    fn the_settings_of_a_service_count_for_nothing() {
        let of_azure = config(&[
            ("USE_AZURE_SERVICES", "true"),
            ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
            ("HOST", "0.0.0.0"),
            ("SCHEDULER_CLIENT_ID", "a"),
            ("SCHEDULER_API_KEY", "canary-canary-canary"),
            ("JWT_SIGNING_KEYS", "k1:cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca"),
            ("WEBHOOK_SIGNING_SECRETS", "whsec_cacacacacacacacacacacacacacacacacacacaca"),
            ("DATA_ENCRYPTION_KEYS", "d1:cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca"),
            ("SCHEDULER_DATA_DIR", "/data"),
        ]);
        assert!(of_azure.azure.is_none() && of_azure.auth.client().is_none());
        assert_eq!(of_azure.server.listen.to_string(), "127.0.0.1:9");
        assert_eq!(of_azure.server.data_dir, PathBuf::from(".scheduler"), "it is not used");
        assert!(of_azure.delivery.endpoints.check("http://127.0.0.1:1/").is_ok());
    }

    #[test]
    fn deliveries_may_reach_the_networks_of_the_settings_beside_this_machine() {
        let config = config(&[("DELIVERY_ALLOWED_NETWORKS", "10.0.0.0/8")]);
        for reached in ["http://10.1.1.1/", "http://127.0.0.1:1/", "http://[::1]:1/"] {
            assert!(config.delivery.endpoints.check(reached).is_ok(), "{reached}");
        }
        assert!(config.delivery.endpoints.check("http://192.168.1.1/").is_err());
    }
}
