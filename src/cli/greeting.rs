//! The text that the service prints when it has started.

use std::net::SocketAddr;

use super::listen;
use super::service::dialled;
use crate::app::App;
use crate::domain::EndpointPolicy;
use crate::secrets::Credentials;

/// The address on which the service listens and, on the first start, commands to try it.
pub(super) fn greeting(app: &App, endpoints: &EndpointPolicy) -> String {
    let address = app.address();
    let listening = listening(address);
    match app.credentials() {
        Some(credentials) if credentials.new => {
            format!("{listening}\n{}", first_steps(address, credentials, endpoints))
        }
        Some(local) => format!("{listening}\nClient {}; its API key is in {}", local.client, local.path.display()),
        None => listening,
    }
}

/// The address on which the service listens, as a sentence.
pub(super) fn listening(address: SocketAddr) -> String {
    format!("mcp-scheduler {} is listening on http://{address}", env!("CARGO_PKG_VERSION"))
}

/// Commands that show one delivery. They are commands of this program, so they are the same in every shell. The text contains
/// the API key and is shown once.
fn first_steps(address: SocketAddr, credentials: &Credentials, endpoints: &EndpointPolicy) -> String {
    let (program, dialled) = (program(std::env::args().next()), dialled(address));
    let Credentials { client, api_key, path, .. } = credentials;
    // A service that other machines reach delivers nothing to this machine.
    let example = if endpoints.check(&format!("http://127.0.0.1:{}/", listen::PORT)).is_ok() {
        format!(
            "Try it in another terminal, in this directory. A receiver starts, a conversation is delivered to it in three
seconds, and its signature is verified:

  {program} listen --schedule \"Hello\" --in 3s --once --url http://{dialled}"
        )
    } else {
        format!("Try it in another terminal, with a service and a receiver of its own:\n\n  {program} demo")
    };
    format!(
        "
This first start has created a client. Its credentials are in {path}:

  client id  {client}
  api key    {key}

{example}

See what is scheduled in a browser, with the client id and the api key:

  http://{dialled}/

Your own receivers verify its deliveries with the secret that this prints:

  {program} client keys {client}",
        path = path.display(),
        key = api_key.secret().expose(),
    )
}

/// The name with which this program was started, if every shell reads it as it is.
pub(super) fn program(name: Option<String>) -> String {
    let is_plain = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    name.filter(is_plain).unwrap_or_else(|| "mcp-scheduler".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_shell_would_read_in_another_way_is_not_printed() {
        for (name, printed) in [
            (Some("target/release/mcp-scheduler"), "target/release/mcp-scheduler"),
            (Some("/my files/mcp-scheduler"), "mcp-scheduler"),
            (Some("$(x)"), "mcp-scheduler"),
            (None, "mcp-scheduler"),
        ] {
            assert_eq!(program(name.map(str::to_owned)), printed);
        }
    }
}
