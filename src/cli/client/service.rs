//! The operations of the service on clients, called over HTTP.

use std::error::Error;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};
use url::Url;

use super::text;
use crate::app::ClientCommand;
use crate::config::Config;
use crate::domain::Scope;
use crate::secrets::Credentials;

/// A service in which an operator has logged in.
pub(in crate::cli) struct Service {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Service {
    /// The longest time of one request.
    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Logs in at the service with the first client of the settings, or with the one of the data directory.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) async fn login(config: &Config, url: &str) -> Result<Self, String> {
        let url = checked(url)?;
        let (id, key, source) = match &config.auth.client {
            Some((id, key)) => (id.clone(), key.clone(), "SCHEDULER_CLIENT_ID and SCHEDULER_API_KEY".to_owned()),
            None => match Credentials::load(&config.server.data_dir).map_err(|error| error.to_string())? {
                Some(Credentials { client, api_key, path, .. }) => (client, api_key, path.display().to_string()),
                None => {
                    return Err(format!(
                        "{url} needs a login: set SCHEDULER_CLIENT_ID and SCHEDULER_API_KEY to a client with the scope \
                         {}, or SCHEDULER_DATA_DIR to the data directory of the service",
                        Scope::Operator
                    ));
                }
            },
        };
        let service = Self { http: http_client(&url)?, url, token: String::new() };
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id.as_str()),
            ("client_secret", key.secret().expose()),
            ("scope", Scope::Operator.as_str()),
        ];
        let (status, answer) = service.send(service.http.post(service.at("/oauth/token")).form(&form)).await?;
        let described = text(&answer, "error_description");
        match (status, text(&answer, "error")) {
            (StatusCode::OK, _) if !text(&answer, "access_token").is_empty() => {
                Ok(Self { token: text(&answer, "access_token").to_owned(), ..service })
            }
            (_, "invalid_scope") => Err(format!(
                "{} refuses the login: the client {id} does not have the scope {}, or this release does not know it",
                service.url,
                Scope::Operator
            )),
            (StatusCode::UNAUTHORIZED, _) => {
                Err(format!("{} refuses the client {id} or its key, which are those of {source}", service.url))
            }
            (_, error) if !error.is_empty() => Err(format!("{} refuses the login: {described}", service.url)),
            _ => Err(service.refused(status, &answer)),
        }
    }

    /// What the service says of itself, whether it is ready or not. This needs no login.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(in crate::cli) async fn ready(url: &str, limit: Duration) -> Result<Value, String> {
        let url = checked(url)?;
        let service = Self { http: http_client(&url)?, url, token: String::new() };
        let (_, answer) = service.send(service.http.get(service.at("/health/ready")).timeout(limit)).await?;
        Ok(answer)
    }

    /// Calls the operation of a command. A list is read to its end.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) async fn run(&self, command: &ClientCommand) -> Result<Value, String> {
        use ClientCommand as C;
        let (id, action) = match command {
            C::List => return self.list().await,
            C::Add(id, scopes) => {
                let body = json!({ "clientId": id.as_str(), "scopes": scopes.names() });
                let request = self.request(Method::POST, "/api/clients").header("content-type", "application/json");
                return self.call(request.body(body.to_string())).await;
            }
            C::SetSignatures(id, signatures) => {
                let body = json!({ "signatures": signatures.names() }).to_string();
                let request = self.request(Method::POST, &format!("/api/clients/{id}/signatures"));
                return self.call(request.header("content-type", "application/json").body(body)).await;
            }
            C::Show(id) => return self.call(self.request(Method::GET, &format!("/api/clients/{id}"))).await,
            C::Rotate(id) => (id, "rotate"),
            C::Retire(id) => (id, "retire"),
            C::Disable(id) => (id, "disable"),
            C::Enable(id) => (id, "enable"),
        };
        self.call(self.request(Method::POST, &format!("/api/clients/{id}/{action}"))).await
    }

    async fn list(&self) -> Result<Value, String> {
        let (mut clients, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.call(self.request(Method::GET, &format!("/api/clients?limit=100{cursor}"))).await?;
            let Some(of_page) = page.get("clients").and_then(Value::as_array) else {
                return Err(self.refused(StatusCode::OK, &page));
            };
            clients.extend(of_page.iter().cloned());
            match text(&page, "nextCursor") {
                "" => return Ok(json!({ "clients": clients })),
                next => cursor = format!("&cursor={next}"),
            }
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.at(path)).bearer_auth(&self.token)
    }

    async fn call(&self, request: RequestBuilder) -> Result<Value, String> {
        let (status, answer) = self.send(request).await?;
        if status.is_success() { Ok(answer) } else { Err(self.refused(status, &answer)) }
    }

    /// The status and the JSON of an answer; `null` if it is not JSON.
    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Value), String> {
        let failed = |error: reqwest::Error| format!("cannot reach the service at {}: {}", self.url, causes(&error));
        let response: Response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// The reason why a call failed: the problem of the service, or that this is no service of ours.
    fn refused(&self, status: StatusCode, answer: &Value) -> String {
        let (kind, detail, hint) = (text(answer, "type"), text(answer, "detail"), text(answer, "hint"));
        match kind.strip_prefix("urn:mcp-scheduler:problem:") {
            Some("no-such-path" | "method-not-allowed") => {
                format!("the service at {} is of a release without client administration", self.url)
            }
            Some(_) if hint.is_empty() => detail.to_owned(),
            Some(_) => format!("{detail} {hint}"),
            None => format!("what answers at {} is not mcp-scheduler: its status is {status}", self.url),
        }
    }
}

/// The address without a slash at its end.
fn checked(url: &str) -> Result<String, String> {
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
fn causes(error: &dyn Error) -> String {
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
