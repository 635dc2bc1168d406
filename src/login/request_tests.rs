//! The check of an authorization request.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn program(redirect_uris: &[&str]) -> Program {
    let redirect_uris = redirect_uris.iter().map(|uri| uri.parse().unwrap()).collect();
    Program { id: "dcr_x".to_owned(), name: None, redirect_uris }
}

/// The parameters of a good request, with some of them replaced or, with an empty value, left out.
fn query(changes: &[(&str, &str)]) -> String {
    let good = [
        ("client_id", "dcr_x"),
        ("redirect_uri", "http://localhost:7/cb"),
        ("response_type", "code"),
        ("state", "a b"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "conversations:read"),
    ];
    let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(changes)).finish()
}

fn check(query: &str) -> Result<AuthorizationRequest, Refused> {
    let public_url: PublicUrl = "https://a.example".parse().unwrap();
    let program = program(&["http://localhost/cb"]);
    let issuer = public_url.origin(None);
    AuthorizationRequest::check(&Parameters::parse(query.as_bytes()), program, issuer, &public_url, NOW)
}

#[test]
fn a_good_request_is_for_mcp_unless_it_names_another_resource() {
    let request = check(&query(&[])).unwrap();
    assert_eq!(request.audience(), ["https://a.example/mcp"]);
    assert_eq!((request.scopes().to_string().as_str(), request.is_in_time(NOW)), ("conversations:read", true));
    assert!(!request.is_in_time(NOW + AuthorizationRequest::LIFETIME));
    let whole = check(&query(&[("resource", "https://a.example/")])).unwrap();
    assert_eq!(whole.audience(), ["https://a.example"]);
}

#[test]
fn scopes_that_a_program_must_not_have_are_left_out() {
    for (asked, scopes) in [
        ("", "conversations:read conversations:write"),
        ("conversations:write offline_access operator", "conversations:write"),
        ("conversations:read webhooks:read metrics:read", "conversations:read webhooks:read"),
    ] {
        assert_eq!(check(&query(&[("scope", asked)])).unwrap().scopes().to_string(), scopes, "{asked}");
    }
}

#[test]
fn before_the_address_is_known_the_user_is_told_and_nobody_else() {
    let twice = format!("{}&redirect_uri=http://localhost/cb", query(&[]));
    for query in [
        query(&[("redirect_uri", "https://evil.example/")]),
        query(&[("redirect_uri", "http://127.0.0.1:7/cb")]),
        query(&[("redirect_uri", "no address")]),
        twice,
        query(&[("client_id", "dcr_x"), ("client_id", "dcr_y")]),
    ] {
        assert!(matches!(check(&query), Err(Refused::Shown(_))), "{query}");
    }
    assert_eq!(check(&query(&[("redirect_uri", "")])).unwrap().redirect_uri().as_str(), "http://localhost/cb");
    let several = program(&["http://localhost/cb", "https://a.example/cb"]);
    assert!(matches!(redirect_uri(&Parameters::default(), &several), Err(Refused::Shown(_))));
}

#[test]
fn every_other_error_returns_to_the_program() {
    let long = "x".repeat(AuthorizationRequest::MAX_STATE + 1);
    for (change, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "unsupported_response_type"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("scope", "operator")], "invalid_scope"),
        (&[("scope", "conversations:read"), ("scope", "conversations:write")], "invalid_request"),
        (&[("resource", "https://b.example/mcp")], "invalid_target"),
    ] {
        let Err(Refused::Returned(address)) = check(&query(change)) else { panic!("{change:?}") };
        let begin = format!("http://localhost:7/cb?error={error}&error_description=");
        assert!(address.starts_with(&begin), "{address}");
        assert!(address.ends_with("&state=a+b&iss=https%3A%2F%2Fa.example"), "{address}");
    }
    let Err(Refused::Returned(address)) = check(&query(&[("state", &long)])) else { panic!("a long state") };
    assert!(!address.contains("state="), "{address}");
}

#[test]
fn an_answer_is_added_to_the_query_of_the_address() {
    let request = check(&query(&[("state", "")])).unwrap();
    assert_eq!(request.returning(&[("code", "c")]), "http://localhost:7/cb?code=c&iss=https%3A%2F%2Fa.example");
    let uri = "https://a.example/cb?x=1".parse().unwrap();
    let request = AuthorizationRequest { redirect_uri: uri, ..request };
    assert_eq!(request.returning(&[("code", "c")]), "https://a.example/cb?x=1&code=c&iss=https%3A%2F%2Fa.example");
}
