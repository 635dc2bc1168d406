//! A running service, called by an operator over HTTP.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

use super::failure::Failure;
use super::members::text;
use super::profile::Profile;
use crate::config::Config;
use crate::domain::{ClientId, Scopes, Secret};
use crate::secrets::Credentials;

/// The longest time that a connection to the service's own address may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The address of the service: the one that the operator names, or that of the settings if something listens there. `PUBLIC_URL`
/// is not used: it can name another machine, whose store is not the one that the settings name.
pub(super) async fn service_url(config: &Config, named: Option<String>) -> Result<Option<String>, String> {
    if named.is_some() {
        return Ok(named);
    }
    let address = dialled(config.server.listen);
    if address.port() == 0 {
        return Ok(None);
    }
    let url = format!("http://{address}");
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(Some(url)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
        Ok(Err(error)) => Err(format!("cannot find out whether the service runs at {url}: {error}")),
        Err(_) => Err(format!("cannot find out whether the service runs at {url}: nothing has answered in time")),
    }
}

/// The address under which this machine reaches a service that listens on `address`.
pub(super) fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What a service says of itself, whether it is ready or not. This needs no login.
///
/// # Errors
/// A sentence for the operator.
pub(super) async fn readiness(url: &str, limit: Duration) -> Result<Value, String> {
    let url = checked(url)?;
    let request = http_client(&url)?.get(format!("{url}/health/ready")).timeout(limit);
    let (_, answer) = send(&url, request).await?;
    Ok(parsed(&answer))
}

/// Sends a request, and returns the status and the text of the answer.
async fn send(url: &str, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
    let failed =
        |error: reqwest::Error| Failure::Unreachable(format!("cannot reach the service at {url}: {}", causes(&error)));
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    Ok((status, response.bytes().await.map_err(failed)?.to_vec()))
}

/// A service in which an operator has logged in.
pub(super) struct Service {
    http: reqwest::Client,
    url: String,
    id: ClientId,
    key: Secret<String>,
    /// Where the key is from.
    source: String,
    /// What the token allows.
    scopes: Scopes,
    token: String,
}

/// The first client of the settings or of the data directory, its key, and where they are from. `None` if there is none.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn first_client(config: &Config) -> Result<Option<(ClientId, Secret<String>, String)>, String> {
    if let Some(client) = client_of_settings(config) {
        return Ok(Some(client));
    }
    let loaded = Credentials::load(&config.server.data_dir).map_err(|error| error.to_string())?;
    Ok(loaded.map(|Credentials { client, api_key, path, .. }| {
        (client, api_key.secret().clone(), path.display().to_string())
    }))
}

fn client_of_settings(config: &Config) -> Option<(ClientId, Secret<String>, String)> {
    let (id, key) = config.auth.client()?;
    Some((id.clone(), key.secret().clone(), "SCHEDULER_CLIENT_ID and SCHEDULER_API_KEY".to_owned()))
}

/// The client that logs in at an address: that of the settings, of the profile of this address, or of the data directory.
fn client_for(config: &Config, url: &str) -> Result<Option<(ClientId, Secret<String>, String)>, String> {
    if let Some(client) = client_of_settings(config) {
        return Ok(Some(client));
    }
    // Its key is for no other service.
    match Profile::load(config)?.filter(|profile| profile.url == url) {
        Some(Profile { client, key, .. }) => Ok(Some((client, key, "mcp-scheduler login".to_owned()))),
        None => first_client(config),
    }
}

impl Service {
    /// The longest time of one request.
    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Logs in at the service with the client of the settings, of the profile, or of the data directory.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn login(config: &Config, url: &str, scopes: impl Into<Scopes>) -> Result<Self, Failure> {
        let (url, scopes) = (checked(url)?, scopes.into());
        let (id, key, source) = client_for(config, &url)?.ok_or_else(|| {
            Failure::Login(format!(
                "{url} needs a login: set SCHEDULER_CLIENT_ID and SCHEDULER_API_KEY to a client with the scope {scopes}, or \
                 SCHEDULER_DATA_DIR to the data directory of the service, or run mcp-scheduler login"
            ))
        })?;
        Self::login_as(url, (id, key, source), scopes).await
    }

    /// Logs in with a client and its key, which are from this source.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn login_as(
        url: String,
        (id, key, source): (ClientId, Secret<String>, String),
        scopes: Scopes,
    ) -> Result<Self, Failure> {
        let mut service = Self { http: http_client(&url)?, url, id, key, source, scopes, token: String::new() };
        service.renew_token().await?;
        Ok(service)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    async fn renew_token(&mut self) -> Result<(), Failure> {
        let (url, id, scopes) = (&self.url, &self.id, self.scopes.to_string());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id.as_str()),
            ("client_secret", self.key.expose()),
            ("scope", &scopes),
        ];
        let (status, answer) = self.send(self.http.post(format!("{url}/oauth/token")).form(&form)).await?;
        let answer = parsed(&answer);
        let described = text(&answer, "error_description");
        match (status, text(&answer, "error")) {
            (StatusCode::OK, _) if !text(&answer, "access_token").is_empty() => {
                text(&answer, "access_token").clone_into(&mut self.token);
                Ok(())
            }
            (_, "invalid_scope") => Err(Failure::Login(format!(
                "{url} refuses the login: the client {id} does not have the scope {scopes}, or this release does not know it"
            ))),
            (StatusCode::UNAUTHORIZED, _) => Err(Failure::Login(format!(
                "{url} refuses the client {id} or its key, which are those of {}",
                self.source
            ))),
            (_, error) if !error.is_empty() => Err(Failure::Login(format!("{url} refuses the login: {described}"))),
            _ => Err(self.refused(status, answer)),
        }
    }

    /// Calls an operation that has no body, and returns the JSON of its answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn call(&mut self, method: Method, path: &str) -> Result<Value, Failure> {
        self.call_with(method, path, None).await
    }

    /// Calls an operation, and returns the JSON of its answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn call_with(
        &mut self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Value, Failure> {
        self.answer(method, path, body).await.map(|answer| parsed(&answer))
    }

    /// Calls an operation, and returns the text of its answer. If the token has expired, it gets another one.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn answer(
        &mut self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Vec<u8>, Failure> {
        let mut is_renewed = false;
        loop {
            let request = self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.token);
            let request = match &body {
                Some(body) => request.header("content-type", "application/json").body(body.clone()),
                None => request,
            };
            let (status, answer) = self.send(request).await?;
            if status == StatusCode::UNAUTHORIZED && !is_renewed {
                self.renew_token().await?;
                is_renewed = true;
                continue;
            }
            return if status.is_success() { Ok(answer) } else { Err(self.refused(status, parsed(&answer))) };
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
        send(&self.url, request).await
    }

    /// The reason why a call failed: the problem of the service, or that this is no service of ours.
    pub(super) fn refused(&self, status: StatusCode, answer: Value) -> Failure {
        match text(&answer, "type").strip_prefix("urn:mcp-scheduler:problem:") {
            Some("no-such-path" | "method-not-allowed") => {
                Failure::Other(format!("the service at {} is of a release without this command", self.url))
            }
            Some(_) => Failure::refused(answer),
            None => Failure::Unreachable(format!(
                "what answers at {} is not mcp-scheduler: its status is {status}",
                self.url
            )),
        }
    }
}

/// The JSON of an answer; `null` if it is not JSON.
fn parsed(answer: &[u8]) -> Value {
    serde_json::from_slice(answer).unwrap_or_default()
}

/// The address without a slash at its end.
pub(super) fn checked(url: &str) -> Result<String, String> {
    let is_accepted = |parsed: &Url| {
        matches!(parsed.scheme(), "http" | "https")
            && parsed.username().is_empty()
            && parsed.password().is_none()
            && parsed.query().is_none()
            && parsed.fragment().is_none()
    };
    match Url::parse(url) {
        Ok(parsed) if is_accepted(&parsed) => Ok(parsed.as_str().trim_end_matches('/').to_owned()),
        _ => Err(format!("--url must be the address of the service, such as https://scheduler.example.com, not {url}")),
    }
}

/// A redirect is not followed: it would send the key to another address than the operator has named. The proxy of the
/// environment is used, except for addresses of this machine.
#[allow(clippy::disallowed_methods)] // the command acts as a client, which is not part of the service
fn http_client(url: &str) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(Service::TIMEOUT);
    let is_local = Url::parse(url).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    });
    let builder = if is_local { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| causes(&error))
}

/// An error with its causes. The first one alone does not say what is wrong with a certificate.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_https_without_credentials() {
        for (url, expected) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("https://a.example/base/", "https://a.example/base"),
        ] {
            assert_eq!(checked(url).as_deref(), Ok(expected));
        }
        for url in ["", "a.example", "ftp://a.example", "https://user:key@a.example", "https://a.example/?x=1"] {
            assert!(checked(url).unwrap_err().starts_with("--url must be"), "{url}");
        }
    }
}
