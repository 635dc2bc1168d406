//! `metrics`: the metrics for Prometheus.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use warp::reply::Response;

use crate::api::Problem;
use crate::metrics::{EXPOSITION_TYPE, exposition};

/// `metrics`: all metrics of the process, in the text format of Prometheus.
pub(in crate::http) fn metrics() -> Result<Response, Problem> {
    let text = exposition().map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION_TYPE));
    Ok(response)
}
