//! The routes of a server, which can come later than the server.

use std::time::Duration;

use http::{Method, Request};
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::reply::{Reply as _, Response};

use super::handlers::health;
use crate::api::Problem;

/// What a request is routed by.
type Router = BoxedFilter<(Response,)>;

/// The routes of a server. While a service waits for its secrets, the server already runs: `/health` is answered, and other
/// requests wait for the routes.
#[derive(Clone)]
pub struct Routes {
    router: watch::Receiver<Option<Router>>,
    /// The paths that only ask whether the process responds.
    pings: &'static [&'static str],
}

/// Gives a server its routes.
pub struct RoutesSender(watch::Sender<Option<Router>>);

impl RoutesSender {
    /// Serves all requests by this router from now on, also those that wait.
    pub fn send(self, router: Router) {
        self.0.send_replace(Some(router));
    }
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self { router: watch::channel(Some(router)).1, pings: &[] }
    }
}

impl Routes {
    /// The longest time that a request waits for the routes.
    pub const MAX_WAIT: Duration = Duration::from_secs(10);

    /// Routes that come later, and what gives them. The Functions host pings at `/` and sends nothing else before that is
    /// answered.
    #[must_use]
    pub fn later(under_host: bool) -> (RoutesSender, Self) {
        let (sender, router) = watch::channel(None);
        let pings: &[_] = if under_host { &["/health", "/"] } else { &["/health"] };
        (RoutesSender(sender), Self { router, pings })
    }

    /// The router for a request. Without one, the response.
    pub(super) async fn for_request<B>(self, request: &Request<B>) -> Result<Router, Response> {
        let Self { router: mut routes, pings } = self;
        // The value is cloned, because its lock must not be held while a request is served.
        let there = routes.borrow().clone();
        if let Some(router) = there {
            return Ok(router);
        }
        if matches!(*request.method(), Method::GET | Method::HEAD) && pings.contains(&request.uri().path()) {
            return Err(health::ping().unwrap_or_else(Problem::into_response));
        }
        match tokio::time::timeout(Self::MAX_WAIT, routes.wait_for(Option::is_some)).await {
            Ok(Ok(there)) => there.clone().ok_or_else(|| Problem::starting().into_response()),
            Ok(Err(_)) | Err(_) => Err(Problem::starting().into_response()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::RETRY_AFTER;
    use tokio::time::Instant;
    use warp::Filter as _;

    use super::*;

    fn router() -> Router {
        warp::any().map(|| warp::reply().into_response()).boxed()
    }

    async fn status(routes: &Routes, method: Method, path: &str) -> Option<StatusCode> {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        routes.clone().for_request(&request).await.err().map(|response| response.status())
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_routes_only_the_health_and_the_ping_are_answered_at_once() {
        let (_sender, routes) = Routes::later(true);
        let began = Instant::now();
        for (method, path) in [(Method::GET, "/health"), (Method::HEAD, "/health"), (Method::GET, "/")] {
            assert_eq!(status(&routes, method, path).await, Some(StatusCode::OK));
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        let (_sender, without_host) = Routes::later(false);
        assert_eq!(status(&without_host, Method::GET, "/").await, Some(StatusCode::SERVICE_UNAVAILABLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_the_routes_and_not_longer_than_ten_seconds() {
        for (method, path) in
            [(Method::GET, "/api/scheduler"), (Method::POST, "/health"), (Method::GET, "/health/ready")]
        {
            let (_sender, routes) = Routes::later(true);
            let began = Instant::now();
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let response = routes.for_request(&request).await.err().unwrap();
            assert_eq!((response.status(), began.elapsed()), (StatusCode::SERVICE_UNAVAILABLE, Routes::MAX_WAIT));
            assert_eq!(response.headers()[RETRY_AFTER], "5");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
        let (sender, routes) = Routes::later(true);
        let waiting = tokio::spawn(async move { status(&routes, Method::GET, "/api/scheduler").await });
        tokio::time::sleep(Routes::MAX_WAIT / 2).await;
        sender.send(router());
        assert_eq!(waiting.await.unwrap(), None);
    }
}
