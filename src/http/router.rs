//! Finds the operation of a request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Buf;
use futures_util::{Stream, StreamExt as _};
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reply::Response;

use super::connection::Connection;
use super::context::{Arrived, BodyStream, RequestContext, Services};
use super::operation::Operation;
use super::pipeline;
use crate::api::Problem;
use crate::domain::TraceContext;

/// Serves the operations of a table, and answers every other request with 404 or 405.
#[must_use]
pub fn router(services: Arc<Services>, operations: Vec<Operation>) -> BoxedFilter<(Response,)> {
    let table = Arc::new(RoutingTable::new(operations));
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::ext::optional::<Connection>())
        .and(warp::ext::optional::<TraceContext>())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method: Method, path: FullPath, query, connection, trace, headers, body| {
            let (table, services) = (Arc::clone(&table), Arc::clone(&services));
            let arrived = Arrived { connection, trace, query, headers, body: boxed(body) };
            async move {
                services.note_call();
                match table.find(&method, path.as_str(), services.is_invocation(&arrived.headers)) {
                    Ok((operation, parameter)) => {
                        let limit = operation.body_limit;
                        let context = RequestContext::new(services, parameter.to_owned(), limit, arrived);
                        pipeline::serve(operation, context).await
                    }
                    Err(problem) => {
                        let context = RequestContext::new(services, String::new(), 0, arrived);
                        pipeline::refuse(problem, path.as_str(), context).await
                    }
                }
            }
        })
        .boxed()
}

fn boxed<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> BodyStream {
    Box::pin(body.map(|part| part.map(|mut buffer| buffer.copy_to_bytes(buffer.remaining()))))
}

/// Finds operations by method and path.
struct RoutingTable {
    /// The operations whose path has no parameter, by path.
    exact: HashMap<&'static str, Vec<Operation>>,
    /// All others.
    templates: Vec<Operation>,
    /// The literal segments of all paths, each with the path before it. A literal is never the value of a parameter at its
    /// place: `/api/scheduler/schedule` is not the conversation `schedule`.
    literals: HashSet<(&'static str, &'static str)>,
    /// The operations that callers may call, for those that called none.
    list: String,
}

impl RoutingTable {
    fn new(operations: Vec<Operation>) -> Self {
        let all = operations.iter().flat_map(|operation| segments(operation.path));
        let literals = all.filter(|(_, segment)| !is_parameter(segment)).collect();
        let public = operations.iter().filter(|operation| !operation.is_invocation());
        let list: Vec<_> = public.map(Operation::describe).collect();
        let (templates, exact): (Vec<_>, Vec<_>) =
            operations.into_iter().partition(|operation| segments(operation.path).any(|(_, s)| is_parameter(s)));
        let mut table = Self { exact: HashMap::new(), templates, literals, list: list.join(", ") };
        for operation in exact {
            table.exact.entry(operation.path).or_default().push(operation);
        }
        table
    }

    /// The operation of a request, and the value of the parameter in its path (empty without one). The functions that
    /// the Functions host invokes exist only in its own requests.
    fn find<'a>(&self, method: &Method, path: &'a str, invocation: bool) -> Result<(&Operation, &'a str), Problem> {
        let mut allowed = Vec::new();
        let known = self.exact.get(path).unwrap_or(&self.templates);
        for operation in known.iter().filter(|operation| invocation || !operation.is_invocation()) {
            match self.parameter(operation.path, path) {
                Some(parameter) if operation.accepts(method) => return Ok((operation, parameter)),
                Some(_) => allowed.extend(operation.methods()),
                None => {}
            }
        }
        let problem = if allowed.is_empty() {
            let corrected = corrected(path);
            let all = self.exact.values().flatten().chain(&self.templates);
            let mut meant = all.filter(|operation| !operation.is_invocation());
            let meant = meant.find(|operation| self.parameter(operation.path, &corrected).is_some());
            meant.map_or_else(Problem::no_such_path, |operation| Problem::misspelled_path(operation.path))
        } else {
            Problem::method_not_allowed(method, &allowed.join(", "))
        };
        Err(problem.operations(&self.list))
    }

    /// The value of the template's parameter (empty without one), if the path matches the template.
    fn parameter<'a>(&self, template: &str, path: &'a str) -> Option<&'a str> {
        let (mut expected, mut actual, mut parameter) = (segments(template), path.split('/'), "");
        loop {
            match (expected.next(), actual.next()) {
                (None, None) => return Some(parameter),
                (Some((_, expected)), Some(actual)) if expected == actual => {}
                (Some((before, expected)), Some(actual))
                    if is_parameter(expected) && !actual.is_empty() && !self.literals.contains(&(before, actual)) =>
                {
                    parameter = actual;
                }
                _ => return None,
            }
        }
    }
}

/// A path without empty segments and in lower case, as the paths of the table are.
fn corrected(path: &str) -> String {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    format!("/{}", segments.join("/").to_ascii_lowercase())
}

/// The segments of a path, each with the path before it.
fn segments(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.split('/').scan(0, move |start, segment| {
        let before = path.get(..*start)?;
        *start += segment.len() + 1;
        Some((before, segment))
    })
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::operations;

    /// The name and the parameter of the operation that is found, or the methods that are allowed.
    fn find(method: &Method, path: &str) -> (String, String) {
        let table = RoutingTable::new(operations());
        match table.find(method, path, false) {
            Ok((operation, parameter)) => (operation.name.to_owned(), parameter.to_owned()),
            Err(problem) => {
                let allow = problem.headers().find(|(name, _)| *name == http::header::ALLOW);
                (problem.status().as_str().to_owned(), allow.map_or_else(String::new, |(_, value)| value.to_owned()))
            }
        }
    }

    /// The path of an operation with this value for its parameter.
    fn path_of(operation: &Operation, value: &str) -> String {
        ["{id}", "{name}", "{clientId}"].iter().fold(operation.path.to_owned(), |path, name| path.replace(name, value))
    }

    #[test]
    fn every_operation_is_found_by_its_own_method_and_path() {
        for operation in operations() {
            let parameter = if operation.path.contains('{') { "some-id" } else { "" };
            let found = find(&operation.method, &path_of(&operation, "some-id"));
            assert_eq!(found, (operation.name.to_owned(), parameter.to_owned()));
        }
    }

    #[test]
    fn head_is_accepted_where_get_is_and_nowhere_else() {
        for operation in operations() {
            let path = path_of(&operation, "some-id");
            let (found, _) = find(&Method::HEAD, &path);
            let gets = operations().into_iter().find(|o| o.method == Method::GET && o.path == operation.path);
            assert_eq!(found, gets.map_or("405", |get| get.name), "{path}");
        }
    }

    #[test]
    fn a_literal_of_another_path_is_never_a_parameter() {
        for (method, path, status, allowed) in [
            (Method::DELETE, "/api/scheduler/schedule", "405", "POST"),
            (Method::DELETE, "/api/scheduler/status", "404", ""),
            (Method::POST, "/api/scheduler/schedule/redeliver", "404", ""),
            (Method::GET, "/api/scheduler/some-id", "405", "PATCH, DELETE"),
            (Method::POST, "/api/scheduler", "405", "GET, HEAD"),
            (Method::DELETE, "/api/scheduler/named", "404", ""),
            (Method::POST, "/api/scheduler/named/run", "405", "PUT, GET, HEAD, DELETE"),
        ] {
            assert_eq!(find(&method, path), (status.to_owned(), allowed.to_owned()), "{path}");
        }
    }

    #[test]
    fn only_the_exact_path_is_found() {
        for path in ["", "//", "//health", "/health/", "/Health", "/api/scheduler/", "/api/scheduler/status/", "health"]
        {
            assert_eq!(find(&Method::GET, path).0, "404", "{path}");
        }
    }
}
