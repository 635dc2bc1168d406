//! The page on which a user lets a program in: HTML without scripts, and without anything from another host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, REFRESH, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};
use warp::reply::Response;

use crate::domain::Scope;
use crate::login::{AuthorizationRequest, Consent, TryAgain};
use crate::text::{escape_html, escape_invisible};

const STYLE: &str = include_str!("page.css");

/// The question, and what was wrong with the user's answer to it.
pub(super) fn consent(Consent { request, sealed, sign_in }: &Consent, again: Option<TryAgain>) -> Response {
    let scopes: Vec<_> = request.scopes().iter().map(check_box).collect();
    let body = format!(
        "<h1>Let {name} in?</h1>\n{again}{facts}\n{warning}<form method=\"post\" action=\"authorize\">\n\
         <input type=\"hidden\" name=\"request\" value=\"{sealed}\">\n\
         <fieldset><legend>It may</legend>\n{scopes}</fieldset>\n\
         <fieldset><legend>It acts for</legend>\n\
         <label>Client id<input name=\"client_id\" autocomplete=\"username\" maxlength=\"64\" required autofocus></label>\n\
         <label>API key<input name=\"api_key\" type=\"password\" autocomplete=\"current-password\" maxlength=\"256\" \
         required></label>\n</fieldset>\n\
         <button name=\"decision\" value=\"allow\">Let it in</button>\n{sign_in}\
         <button name=\"decision\" value=\"deny\" formnovalidate>Deny</button>\n</form>\n\
         <p>The program does not see the API key. It gets a token, which it renews while it is used. Nobody has checked the \
         name of the program.</p>\n",
        name = shown(request.name().unwrap_or("a program")),
        again = again.map(message).unwrap_or_default(),
        facts = facts(request),
        warning = warning(request),
        scopes = scopes.concat(),
        sign_in = sign_in.as_deref().map(sign_in_button).unwrap_or_default(),
    );
    let (status, wait) = match again {
        None | Some(TryAgain::WrongCredentials | TryAgain::NoScope) => (StatusCode::OK, None),
        Some(TryAgain::TooManyFailures { retry_after }) => (StatusCode::TOO_MANY_REQUESTS, Some(retry_after)),
    };
    let mut response = page(status, &format!("'self' {}", request.redirect_uri().policy_source()), &body);
    response.headers_mut().extend(wait.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
    response
}

/// A login that goes on at another address. The browser goes there by itself, and not as the answer of a form: Chrome would
/// then apply `form-action` to every address to which the issuer leads.
pub(super) fn elsewhere(address: &str) -> Response {
    let link = escape_html(address);
    let body = format!("<h1>Signing in</h1>\n<p>If nothing happens, <a href=\"{link}\">go on</a>.</p>\n");
    let mut response = page(StatusCode::OK, "'none'", &body);
    let refresh = HeaderValue::try_from(format!("0;url={address}")).ok();
    response.headers_mut().extend(refresh.map(|refresh| (REFRESH, refresh)));
    response
}

/// A login that does not go on.
pub(super) fn refused(status: StatusCode, why: &str) -> Response {
    page(status, "'none'", &format!("<h1>The login does not go on</h1>\n<p>{}</p>\n", escape_html(why)))
}

fn sign_in_button(issuer: &str) -> String {
    let issuer = shown(issuer);
    format!("<button name=\"decision\" value=\"sign_in\" formnovalidate>Let it in, signed in with {issuer}</button>\n")
}

fn facts(request: &AuthorizationRequest) -> String {
    let host = request.host().map(|host| format!("<dt>Published at</dt><dd>{}</dd>\n", shown(&host)));
    let place = shown(&request.redirect_uri().place());
    format!("<dl>\n{}<dt>Returns to</dt><dd><b>{place}</b></dd>\n</dl>", host.unwrap_or_default())
}

fn warning(request: &AuthorizationRequest) -> &'static str {
    if request.redirect_uri().is_loopback() {
        "<p class=\"warning\">The program runs on this computer. Go on only if you have just started the login in it.</p>\n"
    } else {
        "<p class=\"warning\">Go on only if you know this address and have just started the login there.</p>\n"
    }
}

fn check_box(scope: Scope) -> String {
    let meaning = match scope {
        Scope::Read => "read conversations",
        Scope::Write => "schedule, change and cancel conversations",
        Scope::WebhookSecrets => "read the secrets that verify deliveries",
        Scope::Metrics => "read the metrics of the service",
        Scope::Operator => "administrate clients",
    };
    format!("<label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked> {meaning}</label>\n")
}

fn message(again: TryAgain) -> String {
    let why = match again {
        TryAgain::WrongCredentials => "The client id or the API key is wrong.".to_owned(),
        TryAgain::NoScope => "Tick something that this client may do.".to_owned(),
        TryAgain::TooManyFailures { retry_after } => {
            format!("Too many logins had wrong keys. Try again in {retry_after} seconds.")
        }
    };
    format!("<p role=\"alert\">{why}</p>\n")
}

/// A text of others, in one line, in which nothing hides.
fn shown(text: &str) -> String {
    escape_html(&escape_invisible(text, usize::MAX).0.replace(['\n', '\t'], " "))
}

fn page(status: StatusCode, form_action: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Login</title>\n<style>{STYLE}</style>\n<main>\n{body}</main>\n</html>\n"
    );
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    // Chrome applies `form-action` also to where the answer of the form leads.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    );
    let mut response = Response::new(html.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // The address of the page has the program's request. With `no-referrer` the form would name no origin.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.extend(HeaderValue::try_from(policy).ok().map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    response
}
