//! The text that the service prints when it has started.

use std::net::{Ipv4Addr, SocketAddr};

use crate::app::App;
use crate::secrets::Credentials;

/// Says where the service listens and, on the first start, how to try it.
pub(super) fn greeting(app: &App, under_host: bool) -> String {
    let address = app.address();
    let listening = format!("mcp-scheduler {} is listening on http://{address}", env!("CARGO_PKG_VERSION"));
    match app.credentials() {
        // The Functions host keeps what this process prints, so a key must not be part of it.
        Some(credentials) if credentials.new && !under_host => {
            format!("{listening}\n{}", first_steps(address, credentials))
        }
        Some(kept) => format!("{listening}\nClient {}; its API key is in {}", kept.client, kept.path.display()),
        None => listening,
    }
}

/// Shown once. The example lets the service call its own health check, so that it works without a receiver.
fn first_steps(mut address: SocketAddr, credentials: &Credentials) -> String {
    if address.ip().is_unspecified() {
        // 0.0.0.0 cannot be dialled; show loopback.
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
