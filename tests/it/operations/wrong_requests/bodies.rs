//! Bodies that are not JSON, or not the JSON of a request, and lists with wrong parameters.

use http::Method;
use serde_json::json;

use super::{GOOD, HINT, sentences, start};
use crate::support::client::Answer;

const JSON_HINT: &str = "Send one JSON object in UTF-8, with nothing before or after it.";

/// Bodies that are not JSON, and the detail of the problem.
#[rustfmt::skip]
const NOT_JSON: &[(&str, &str)] = &[
    ("", "The body is empty."),
    (" \r\n", "The body is empty."),
    ("{", "The body ends before the object is complete: a closing quote, bracket or brace is missing."),
    (r#"{"conversationText":"hi"#, "The body ends before the object is complete: a closing quote, bracket or brace is missing."),
    ("{'conversationText':'hi'}", "The body has a single quote where JSON has a double quote (line 1, column 2)."),
    ("{“conversationText”:“hi”}", "The body has a typographic quote where JSON has a plain double quote (line 1, column 2)."),
    ("{conversationText:\"hi\"}", "The body has a name without double quotes (line 1, column 2)."),
    ("{\n\"conversationText\":\"hi\",\n}", "The body has a comma after the last member (line 3, column 1)."),
    ("{\"conversationText\":\"hi\" // a greeting\n}", "The body has a comment, which JSON does not allow (line 1, column 26)."),
    ("{\"conversationText\":\"hi\"\n \"retry\":{}}", "The body has no comma between two members (line 2, column 2)."),
    ("conversationText=hi", "The body does not begin with { (line 1, column 1)."),
    ("<hi/>", "The body does not begin with { (line 1, column 1)."),
    ("{} {}", "The body goes on after the end of the object (line 1, column 4)."),
];

/// Bodies in which a value of a field is not JSON, or which are another kind of value.
#[rustfmt::skip]
const WRONG_JSON: &[(&str, &str)] = &[
    (r#"{"conversationText":'hi'}"#, "conversationText is not JSON: the body has a single quote where JSON has a double quote (line 1, column 21)"),
    (r#"{"additionalInfo":{"a":None}}"#, "additionalInfo is not JSON: the body has a word that is not JSON; the words of JSON are true, false and null (line 1, column 24)"),
    (r#"{"timeoutSeconds":030}"#, "timeoutSeconds is not JSON: the body has a number in a form that JSON does not have (line 1, column 20)"),
    ("{\"conversationText\":\"a\nb\"}", "conversationText is not JSON: the body has a control character; inside a string write it as an escape such as \\n (line 1, column 23)"),
    (r#"{"conversationText":"C:\temp\x"}"#, "conversationText is not JSON: the body has a backslash before a character that JSON does not escape; write \\\\ for a backslash (line 1, column 30)"),
    ("[]", "The request must be a JSON object, not an array"),
    ("null", "The request must be a JSON object, not null"),
    ("7", "The request must be a JSON object, not a number"),
    (r#""{}""#, "The request must be a JSON object, not a string"),
];

#[tokio::test]
async fn a_body_that_is_not_json_is_told_its_defect_and_place() {
    let api = start().await;
    let client = api.client();
    for (body, detail) in NOT_JSON {
        let answer = client.schedule_raw(*body).await;
        answer.assert_problem(400, "malformed-json");
        assert_eq!((&answer.json()["detail"], &answer.json()["hint"]), (&json!(detail), &json!(JSON_HINT)), "{body}");
        let same = Answer::unchecked(client.mcp_request(&json!(null)).await.body(*body)).await;
        assert_eq!(same.json()["detail"], *detail, "over MCP: {body}");
    }
    for (body, sentence) in WRONG_JSON {
        let answer = client.schedule_raw(*body).await;
        answer.assert_problem(400, "invalid-request");
        assert_eq!((sentences(&answer.json()), &answer.json()["hint"]), (vec![(*sentence).to_owned()], &json!(HINT)));
    }
}

#[tokio::test]
async fn no_problem_with_a_body_speaks_like_a_parser() {
    const JARGON: [&str; 10] =
        ["EOF", "expected", "parsing", "invalid type", "serde", "struct", "token", "trailing", "u32", "deserialize"];
    let api = start().await;
    let client = api.client();
    let good = format!("{{{GOOD}}}");
    // Every place of a good request with every one of these characters, and every beginning of it.
    let spoiled = (0..good.len()).flat_map(|at| {
        let inserted = ["'", "}", ",", ":", "\\", "\u{1}", "x", "é", "["];
        inserted.map(|spoiler| format!("{}{spoiler}{}", &good[..at], &good[at..]))
    });
    for body in spoiled.chain((0..good.len()).map(|end| good[..end].to_owned())) {
        let answer = client.schedule_raw(body.clone()).await;
        let problem = answer.json();
        let texts = format!("{} {} {}", problem["detail"], problem["errors"], problem["hint"]);
        assert!(answer.status == 200 || !JARGON.iter().any(|word| texts.contains(word)), "{body}: {texts}");
    }
}

#[tokio::test]
async fn every_wrong_parameter_of_a_list_is_named() {
    let api = start().await;
    #[rustfmt::skip]
    let lists: [(&str, &[&str]); 7] = [
        ("?status=Done&limit=ten&page=2", &["limit must be a whole number from 1 to 100", "page is not a field; use cursor", "status must be one of Scheduled, InProgress, Completed, Failed, Cancelled"]),
        ("?sort=asc&since=1893456000", &["sort is not a field; use order", "since is not a field; use from"]),
        ("?limit=0", &["limit must be a whole number from 1 to 100"]),
        ("?Limit=1&offset=5&order=asc", &["Limit is not a field; use limit", "offset is not a field; use cursor", "order must be one of created, due, ended"]),
        ("?limit=1&limit=2", &["limit is given twice"]),
        ("?cursor=2", &["cursor must be the cursor that an earlier response of this operation returned, unchanged, with the same filters and order as in that request; leave it out to start from the beginning"]),
        ("?state=Failed", &["state is not a field; use status"]),
    ];
    for (query, expected) in lists {
        let answer = api.client().list(query).await;
        answer.assert_problem(400, "invalid-request");
        assert_eq!(sentences(&answer.json()), expected, "{query}");
    }
}

#[tokio::test]
async fn every_wrong_login_is_told_what_to_correct() {
    let api = start().await;
    #[rustfmt::skip]
    let logins: [(&str, &[&str]); 4] = [
        ("{}", &["clientId is required and must not be empty", "apiKey is required and must not be empty"]),
        (r#"{"client_id":"alice","api_key":"x"}"#, &["client_id is not a field; use clientId", "api_key is not a field; use apiKey", "clientId is required and must not be empty", "apiKey is required and must not be empty"]),
        (r#"{"username":"alice","password":"x"}"#, &["username is not a field; use clientId", "password is not a field; use apiKey", "clientId is required and must not be empty", "apiKey is required and must not be empty"]),
        (r#"{"clientId":"alice","apiKey":7}"#, &["apiKey must be a string, not a number"]),
    ];
    for (body, expected) in logins {
        let request =
            api.client().anonymous(Method::POST, "/api/auth/token").header("content-type", "application/json");
        let answer = Answer::to(request.body(body)).await;
        answer.assert_problem(400, "invalid-request");
        assert_eq!(sentences(&answer.json()), expected, "{body}");
    }
}
