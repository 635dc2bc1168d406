//! `mcp-scheduler client`: client administration.

use std::process::ExitCode;

use super::output;
use crate::app;
use crate::config::Config;
use crate::domain::Scopes;

/// `client add NAME`: adds a client and prints its API key once.
pub(super) async fn add(config: &Config, name: &str, scopes: Scopes) -> Result<ExitCode, String> {
    let key = app::add_client(config, name, scopes).await?;
    let text = format!(
        "client id  {name}\napi key    {}\nscopes     {scopes}\n\nThe store keeps only a hash of the key. The key will not be shown again.",
        key.secret().expose()
    );
    output::print(text).map_err(|error| format!("the client {name} was added, but its key is lost: {error}"))?;
    Ok(ExitCode::SUCCESS)
}
