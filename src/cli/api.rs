//! The service that a command on conversations calls, and how it prints the answer.

use std::process::ExitCode;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::Value;

use super::arguments::ServiceArguments;
use super::failure::Failure;
use super::output;
use super::page::Page;
use super::profile::Profile;
use super::service::{Service, service_url};
use crate::config::Config;
use crate::domain::Scopes;

/// A service that is called for one command.
pub(super) struct Api<'a> {
    config: &'a Config,
    service: Service,
    is_json: bool,
}

impl<'a> Api<'a> {
    /// Logs in at the service that the arguments, the settings or the profile name, or that runs at the address of the
    /// settings.
    pub(super) async fn open(
        config: &'a Config,
        arguments: &ServiceArguments,
        scopes: impl Into<Scopes>,
    ) -> Result<Self, Failure> {
        let url = address(config, arguments.url.as_ref()).await?;
        let service = Service::login(config, &url, scopes).await?;
        Ok(Self { config, service, is_json: arguments.json })
    }

    pub(super) fn url(&self) -> &str {
        self.service.url()
    }

    /// Calls an operation. A problem is printed if the command prints JSON.
    pub(super) async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let called = self.service.call_with(method, path, body.map(Value::to_string)).await;
        if let (Err(Failure::Refused { problem, .. }), true) = (&called, self.is_json) {
            output::print(problem)?;
        }
        called
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Prints an answer: as it is, or for a person.
    pub(super) fn print(&self, answer: &Value, shown: impl FnOnce(&Page) -> String) -> Result<ExitCode, Failure> {
        output::print(if self.is_json { answer.to_string() } else { shown(&Page::of(self.config, answer)) })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The address of the service that the arguments, the settings or the profile name, or that runs at the address of the settings.
pub(super) async fn address(config: &Config, named: Option<&String>) -> Result<String, Failure> {
    if let Some(url) = named.or(config.commands.url.as_ref()) {
        return Ok(url.clone());
    }
    if let Some(profile) = Profile::load(config)? {
        return Ok(profile.url);
    }
    service_url(config, None).await?.ok_or_else(|| {
        Failure::Unreachable(format!(
            "nothing runs at {}: start the service first (mcp-scheduler), name its address with --url or SCHEDULER_URL, or log \
             in with mcp-scheduler login",
            config.server.listen
        ))
    })
}

/// What a part of a path cannot have as it is. The service decodes no path, and ids and names have none of it.
const NOT_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A text as a part of a path.
pub(super) fn in_path(text: &str) -> String {
    utf8_percent_encode(text, NOT_IN_PATH).to_string()
}

/// The path of a list with the parameters that have a value.
pub(super) fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
