//! The text that the service prints when it has started.

use std::net::{Ipv4Addr, SocketAddr};

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

/// Commands that schedule one conversation. Its endpoint is the service's own health check if the policy accepts it, so
/// that the example needs no receiver. The text contains the API key and is shown once.
fn first_steps(mut address: SocketAddr, credentials: &Credentials, endpoints: &EndpointPolicy) -> String {
    if address.ip().is_unspecified() {
        // 0.0.0.0 cannot be dialled; show loopback.
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{address}");
    let health = format!("{url}/health");
    let endpoint = if endpoints.check(&health).is_ok() { &health } else { "https://example.com/" };
    let Credentials { client, api_key, path, .. } = credentials;
    format!(
        r#"
This first start has created a client. Its credentials are in {path}:

  client id  {client}
  api key    {key}

Receivers verify its deliveries with what `mcp-scheduler client keys {client}` prints.

Try it: get a token, schedule a GET request to {endpoint} in 10 seconds, and read its status.

TOKEN=$(curl -s {url}/api/auth/token -H 'Content-Type: application/json' \
  -d '{{"clientId":"{client}","apiKey":"{key}"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')

ID=$(curl -s {url}/api/scheduler/schedule -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -d '{{"conversationText":"Hello","method":"GET","endpoint":"{endpoint}","scheduledTime":"'$(date -u -d '+10 seconds' +%FT%TZ 2>/dev/null || date -u -v+10S +%FT%TZ)'"}}' \
  | sed 's/.*"conversationId":"\([^"]*\)".*/\1/'); echo "scheduled $ID"

curl -s {url}/api/scheduler/status/$ID -H "Authorization: Bearer $TOKEN"; echo"#,
        path = path.display(),
        key = api_key.secret().expose(),
    )
}
