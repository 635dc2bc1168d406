//! `completeSignIn`: the browser of a user returns from the issuer at which the user has signed in.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use warp::reply::Response;

use super::{authorize, page};
use crate::api::Problem;
use crate::http::RequestContext;
use crate::login::{Logins, Parameters};

/// The path to which the issuer returns the browser.
pub(in crate::http) const PATH: &str = Logins::SIGNED_IN;

/// The cookie that ties a login to the browser in which it began. With this prefix, no other host can set it.
const NAME: &str = "__Host-login";

/// The query of an answer of the issuer, for the documentation.
#[derive(JsonSchema)]
#[schemars(rename = "SignInAnswer")]
#[allow(dead_code)] // only its schema is used
pub(in crate::http) struct AnswerQuery {
    /// The text that the service has sent to the issuer.
    state: Option<String>,
    /// The code of the sign-in.
    code: Option<String>,
    /// The reason why there is no code.
    error: Option<String>,
    /// The issuer (RFC 9207).
    iss: Option<String>,
}

/// `completeSignIn`
pub(in crate::http) async fn complete_sign_in(context: RequestContext) -> Result<Response, Problem> {
    let answer = Parameters::parse(context.query().as_bytes());
    let decided = context.services().logins.complete_sign_in(cookie(context.headers()), &answer).await;
    let mut response = authorize::answer(decided)?;
    set_cookie(&mut response, "", 0);
    Ok(response)
}

/// Sends the browser to the issuer.
pub(super) fn begin(address: &str, sealed: &str) -> Response {
    let mut response = page::elsewhere(address);
    set_cookie(&mut response, sealed, 600);
    response
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// Sets the cookie. `Lax` sends it when the issuer leads the browser back, and with no form of another site.
fn set_cookie(response: &mut Response, value: &str, seconds: u32) {
    let cookie = format!("{NAME}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    response.headers_mut().extend(HeaderValue::try_from(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
}
