//! The part of the table of operations by which programs get tokens with OAuth. They need no token.

use http::Method;

use super::descriptions;
use super::handlers::oauth::{BODY_LIMIT, authorize, register, revoke, sign_in, token};
use super::operation::{Access, Operation, operation};

/// The page on which a user lets a program in, and the operations that programs call before and after it.
pub(super) fn oauth_operations() -> Vec<Operation> {
    use Access::Anyone;
    let operations = [
        operation(
            "issueOauthToken",
            Method::POST,
            token::PATH,
            &descriptions::ISSUE_OAUTH_TOKEN,
            Anyone(|context| Box::pin(token::issue_oauth_token(context))),
        ),
        operation(
            "revokeOauthToken",
            Method::POST,
            revoke::PATH,
            &descriptions::REVOKE_OAUTH_TOKEN,
            Anyone(|context| Box::pin(revoke::revoke_oauth_token(context))),
        ),
        operation(
            "registerOauthClient",
            Method::POST,
            register::PATH,
            &descriptions::REGISTER_OAUTH_CLIENT,
            Anyone(|context| Box::pin(register::register_oauth_client(context))),
        ),
        operation(
            "authorize",
            Method::GET,
            authorize::PATH,
            &descriptions::AUTHORIZE,
            Anyone(|context| Box::pin(authorize::authorize(context))),
        ),
        operation(
            "submitAuthorization",
            Method::POST,
            authorize::PATH,
            &descriptions::SUBMIT_AUTHORIZATION,
            Anyone(|context| Box::pin(authorize::submit_authorization(context))),
        ),
        operation(
            "completeSignIn",
            Method::GET,
            sign_in::PATH,
            &descriptions::COMPLETE_SIGN_IN,
            Anyone(|context| Box::pin(sign_in::complete_sign_in(context))),
        ),
    ];
    operations.map(|operation| Operation { body_limit: BODY_LIMIT, ..operation }).to_vec()
}
