//! `mcp-scheduler client keys`: what the receivers of a client verify its deliveries with.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::app;
use crate::cli::output;
use crate::config::Config;
use crate::domain::Secret;

/// Prints the secrets and the public keys of a client.
pub(super) async fn print(config: &Config, name: &str, as_json: bool) -> Result<ExitCode, String> {
    let keys = app::client_keys(config, name).await?;
    let secrets: Vec<_> = keys.secrets();
    let secrets = secrets.iter().map(Secret::expose);
    if as_json {
        // The members are those of `getSigningKeys`.
        let secrets: Vec<_> = secrets.collect();
        let shown: Value = json!({ "clientId": name, "secrets": secrets, "publicKeys": keys.public_keys() });
        output::print(format_args!("{shown:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let secrets = secrets.map(|secret| format!("secret      {secret}"));
    let public_keys = keys.public_keys();
    let public_keys = public_keys.iter().map(|key| format!("public key  {}", key.whpk()));
    let lines: Vec<_> = [format!("client id   {name}")].into_iter().chain(secrets).chain(public_keys).collect();
    output::print(lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}
