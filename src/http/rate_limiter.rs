//! The number of requests that a client may send.

use std::num::NonZeroU32;

use governor::Quota;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use http::{HeaderName, HeaderValue};
use warp::reply::Response;

use crate::api::Problem;
use crate::domain::ClientId;

/// Header fields for rate limits (draft-ietf-httpapi-ratelimit-headers).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Counts the requests of each client in this process. Only authenticated clients are counted, so there are no more
/// counters than clients.
pub struct RateLimiter(Option<Limit>);

struct Limit {
    per_second: NonZeroU32,
    clients: governor::RateLimiter<ClientId, HashMapStateStore<ClientId>, DefaultClock, StateInformationMiddleware>,
}

/// The rest of a client's limit after a request, for the headers of its response.
pub(super) struct Remaining {
    policy: String,
    requests: u32,
}

impl RateLimiter {
    /// A client may send twice as many requests at once, after a pause, as in each second.
    const BURST_SECONDS: u32 = 2;

    /// A limit in requests per second and client; `None` for no limit.
    #[must_use]
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        Self(per_second.map(|per_second| {
            let quota = Quota::per_second(per_second).allow_burst(Self::burst(per_second));
            let clients = governor::RateLimiter::hashmap(quota).with_middleware();
            Limit { per_second, clients }
        }))
    }

    fn burst(per_second: NonZeroU32) -> NonZeroU32 {
        per_second.saturating_mul(NonZeroU32::MIN.saturating_add(Self::BURST_SECONDS - 1))
    }

    /// Counts one request of a client.
    ///
    /// # Errors
    /// [`Problem`] if the client has used up its limit. The request is not counted then.
    pub(super) fn count(&self, client: &ClientId) -> Result<Option<Remaining>, Problem> {
        let Some(limit) = &self.0 else { return Ok(None) };
        let policy = format!(r#""client";q={};w={}"#, Self::burst(limit.per_second), Self::BURST_SECONDS);
        match limit.clients.check_key(client) {
            Ok(state) => Ok(Some(Remaining { policy, requests: state.remaining_burst_capacity() })),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                // Whole seconds, rounded up, as Retry-After needs them.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let remaining = format!(r#""client";r=0;t={seconds}"#);
                let problem = Problem::rate_limited(limit.per_second.get(), seconds);
                Err(problem.header(RATE_LIMIT_POLICY, policy).header(RATE_LIMIT, remaining))
            }
        }
    }
}

impl Remaining {
    /// Writes the headers into a response.
    pub(super) fn stamp(&self, response: &mut Response) {
        let remaining = format!(r#""client";r={}"#, self.requests);
        for (name, value) in [(RATE_LIMIT_POLICY, &self.policy), (RATE_LIMIT, &remaining)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}
