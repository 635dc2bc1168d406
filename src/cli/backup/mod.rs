//! `mcp-scheduler export`, `import` and `verify`. Export and import call the operations of the service. While nothing listens at
//! its address they open the store themselves, and run the same use cases there.

mod arguments;
mod export;
mod file;
mod import;
mod verify;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::failure::Failure;
use super::members::text;
use super::page::counted;
use super::service::{Service, service_url};
use crate::app::{BackupError, BackupStore, ExportResponse, ImportResponse};
use crate::config::Config;
use crate::domain::Scope;
pub(super) use arguments::{ExportArguments, ImportArguments};
pub(super) use export::export;
pub(super) use import::import;
pub(super) use verify::verify;

/// What is exported from, or imported into.
enum Target {
    Service(Box<Service>),
    Store(BackupStore),
}

/// The reason why lines were not imported.
enum Refused {
    /// The line at this place is wrong, and none was imported.
    Line(usize, String),
    /// A part of the lines may have been imported.
    Other(String),
}

impl Target {
    /// The service that the operator names, or the one that runs at the address of the settings, or the store. A store that
    /// is written to may be new.
    async fn open(config: &Config, url: Option<String>, is_written: bool) -> Result<Self, String> {
        const REMEDY: &str = "HOST and PORT do not name its address; name it with --url";
        Ok(match service_url(config, url).await? {
            Some(url) => Self::Service(Box::new(Service::login(config, &url, Scope::Operator).await?)),
            None if is_written => Self::Store(BackupStore::open(config, REMEDY).await?),
            None => Self::Store(BackupStore::open_existing(config, REMEDY).await?),
        })
    }

    async fn export(&mut self, cursor: Option<&str>, reveal: bool) -> Result<ExportResponse, String> {
        let service = match self {
            Self::Service(service) => service,
            Self::Store(store) => return store.export(cursor, reveal).await,
        };
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let answer = service.answer(Method::GET, &format!("/api/export?reveal={reveal}{cursor}"), None).await?;
        serde_json::from_slice(&answer).map_err(|_| service.refused(StatusCode::OK, Value::Null).into())
    }

    async fn import(&mut self, lines: &[String]) -> Result<ImportResponse, Refused> {
        let service = match self {
            Self::Service(service) => service,
            Self::Store(store) => {
                return store.import(lines).await.map_err(|error| match error {
                    BackupError::Line { at, reason } => Refused::Line(at, reason),
                    other => Refused::Other(other.to_string()),
                });
            }
        };
        // Each line is JSON, so this is, too.
        let body = format!(r#"{{"lines":[{}]}}"#, lines.join(","));
        let answer = service.answer(Method::POST, "/api/import", Some(body)).await.map_err(|failure| {
            match &failure {
                Failure::Refused { problem, .. } => wrong_line(problem),
                _ => None,
            }
            .unwrap_or_else(|| Refused::Other(failure.to_string()))
        })?;
        serde_json::from_slice(&answer)
            .map_err(|_| Refused::Other(service.refused(StatusCode::OK, Value::Null).to_string()))
    }

    fn close(self) {
        if let Self::Store(store) = self {
            store.close();
        }
    }
}

/// The place of the line that a problem is about, and what is wrong with it.
fn wrong_line(problem: &Value) -> Option<Refused> {
    let error = problem.get("errors")?.get(0)?;
    let at = text(error, "pointer").strip_prefix("/lines/")?.parse().ok()?;
    Some(Refused::Line(at, text(error, "detail").to_owned()))
}
