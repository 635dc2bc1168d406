//! The corpora of hostile requests, over real sockets, and of hostile tokens.

mod jwt;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::app::{CLIENT, KEY, TestApp};
use crate::support::client::{Answer, conversation, in_seconds};
use crate::support::golden;
use crate::support::wire::{Wire, head};

/// Cases about features that the service does not have yet. A case that passes must leave this list.
const NOT_YET: [(&str, &str); 0] = [];

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Value,
    expect: Value,
}

/// The service, and the values for the placeholders in the cases.
struct World {
    app: TestApp,
    words: HashMap<&'static str, String>,
    cancelled: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_the_corpus_gets_the_expected_answer() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../fixtures/corpora/requests.json")).unwrap();
    let world = &World::new().await;
    // All cases run at the same time, because one of them takes half a minute.
    let results: Vec<_> = stream::iter(&cases)
        .map(|case| async move { (case, tokio::time::timeout(Duration::from_secs(50), world.run(case)).await) })
        .buffer_unordered(cases.len())
        .collect()
        .await;
    let mut wrong = Vec::new();
    let mut bodies = HashMap::new();
    for (case, result) in results {
        let result = result.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let waits = NOT_YET.iter().any(|(name, _)| *name == case.name);
        match &result {
            Ok(_) if waits => wrong.push(format!("{}: passes now; take it off the list", case.name)),
            Err(error) if !waits => wrong.push(format!("{}: {error}", case.name)),
            _ => {}
        }
        bodies.insert(case.name.clone(), result.ok().flatten().map(|answer| answer.text));
    }
    for case in &cases {
        if let Some(other) = case.expect["same_body_as"].as_str()
            && bodies[&case.name] != bodies[other]
        {
            wrong.push(format!("{}: differs from {other}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let health = Answer::to(world.app.client().anonymous(Method::GET, "/health")).await;
    assert_eq!(health.status, 200);
    // The other client sent the slow request, which was never complete.
    assert_eq!(world.app.other_client().list("").await.json()["conversations"], json!([]));
}

impl World {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let (alice, bob) = (app.client(), app.other_client());
        let (id, cancelled) = (alice.scheduled(json!({})).await, alice.scheduled(json!({})).await);
        assert_eq!(alice.cancel(&cancelled).await.status, 200);
        // Cases "after idem-replay" repeat this key.
        let keyed = alice.request(Method::POST, "/api/scheduler/schedule").await.header("idempotency-key", "k-1");
        let keyed = keyed.header("content-type", "application/json").body(conversation(json!({})).to_string());
        assert_eq!(Answer::to(keyed).await.status, 200);
        let words = HashMap::from([
            ("{{token}}", alice.token().await.to_owned()),
            ("{{tokenB}}", bob.token().await.to_owned()),
            ("{{id}}", id),
            ("{{clientId}}", CLIENT.to_owned()),
            ("{{apiKey}}", KEY.to_owned()),
            ("{{now+1h}}", in_seconds(3600)),
            ("{{now-1h}}", in_seconds(-3600)),
            ("{{now+4000d}}", in_seconds(4000 * 24 * 3600)),
            ("{{a*65536}}", "a".repeat(65536)),
        ]);
        Self { app, words, cancelled }
    }

    /// The answer of the service; `None` if it closed the connection, which some cases allow.
    async fn run(&self, case: &Case) -> Result<Option<Answer>, String> {
        let began = Instant::now();
        let answer = match case.input["level"].as_str() {
            Some("http") => Some(self.http(&case.input).await?),
            Some("raw") => self.raw(&case.input["bytes"]).await?,
            other => return Err(format!("unknown level {other:?}")),
        };
        verdict(&case.expect, answer.as_ref(), began.elapsed())?;
        Ok(answer)
    }

    async fn http(&self, input: &Value) -> Result<Answer, String> {
        let body = match (&input["json"], &input["body"], &input["body_base64"]) {
            (Value::Null, Value::Null, Value::Null) => Vec::new(),
            (Value::Null, Value::String(text), _) => self.fill(text).into_bytes(),
            (Value::Null, _, Value::String(base64)) => STANDARD.decode(base64).unwrap(),
            (json, ..) => self.fill(&expand(json).to_string()).into_bytes(),
        };
        let mut headers: Vec<(String, String)> = input["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), self.fill(value.as_str().unwrap())))
            .collect();
        let chunked = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        if !chunked {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let mut path = self.fill(input["path"].as_str().unwrap());
        if input["setup"] == "already cancelled" {
            path = path.replace(&self.words["{{id}}"], &self.cancelled);
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut bytes = head(input["method"].as_str().unwrap(), &path, &headers).into_bytes();
        if chunked {
            for chunk in body.chunks(8192) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(body);
        }
        let answer = Wire::connect(self.app.address).await.exchange(bytes).await.ok_or("no answer")?;
        answer.check();
        Ok(answer)
    }

    async fn raw(&self, bytes: &Value) -> Result<Option<Answer>, String> {
        match bytes {
            Value::String(text) => self.one_answer(&self.fill(text)).await,
            Value::Object(form) if form.contains_key("$template") => {
                self.one_answer(&self.fill(form["$template"].as_str().unwrap())).await
            }
            Value::Object(form) if form.contains_key("$drip") => self.drip().await,
            Value::Object(form) if form.contains_key("$connections") => {
                let mut idle = Vec::new();
                for _ in 0..form["$connections"].as_u64().unwrap() {
                    idle.push(Wire::connect(self.app.address).await);
                }
                let began = Instant::now();
                let answer = self.one_answer("GET /health HTTP/1.1\r\nHost: h\r\n\r\n").await;
                if began.elapsed() > Duration::from_secs(10) { Err("slow".to_owned()) } else { answer }
            }
            other => Err(format!("unknown bytes {other}")),
        }
    }

    /// Sends bytes that are one request, and accepts at most one answer.
    async fn one_answer(&self, bytes: &str) -> Result<Option<Answer>, String> {
        let mut wire = Wire::connect(self.app.address).await;
        let first = wire.exchange(bytes).await;
        wire.finish().await;
        match wire.answers().await.as_slice() {
            [] => Ok(first),
            [second, ..] => Err(format!("a second answer: {second:?} after {first:?}")),
        }
    }

    /// Sends a body of 1000 bytes, one every five seconds, for as long as the service reads it.
    async fn drip(&self) -> Result<Option<Answer>, String> {
        let bearer = format!("Bearer {}", self.words["{{tokenB}}"]);
        let headers = [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Content-Length", "1000")];
        let mut wire = Wire::connect(self.app.address).await;
        wire.send(head("POST", "/api/scheduler/schedule", &headers)).await;
        let began = Instant::now();
        loop {
            wire.send(" ").await;
            if let Ok(answer) = tokio::time::timeout(Duration::from_secs(5), wire.answer()).await {
                let took = began.elapsed();
                if let Some(answer) = &answer {
                    answer.check();
                    golden::check("problem-request-timeout", &answer.json());
                }
                return if took > Duration::from_secs(45) { Err(format!("only after {took:?}")) } else { Ok(answer) };
            }
        }
    }

    fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }
}

/// Builds a value that the corpus describes instead of writing it out.
fn expand(json: &Value) -> Value {
    match json {
        Value::Object(members) => match members.get("$repeat") {
            Some(repeat) => {
                let count = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
                repeat[0].as_str().unwrap().repeat(count).into()
            }
            None => members.iter().map(|(name, member)| (name.clone(), expand(member))).collect(),
        },
        Value::Array(items) => items.iter().map(expand).collect(),
        other => other.clone(),
    }
}

fn verdict(expect: &Value, answer: Option<&Answer>, took: Duration) -> Result<(), String> {
    let status = answer.map_or(Value::Null, |answer| answer.status.into());
    let expected = match &expect["status"] {
        Value::Array(any) => any.contains(&status),
        one => *one == status,
    };
    if !expected {
        return Err(format!("answered {answer:?} instead of {}", expect["status"]));
    }
    let Some(answer) = answer else { return Ok(()) };
    if let Some(content_type) = expect["content_type"].as_str()
        && answer.header("content-type") != content_type
    {
        return Err(format!("is {:?}", answer.header("content-type")));
    }
    for (name, value) in expect["headers_expected"].as_object().into_iter().flatten() {
        // Every challenge also has a link to the metadata, which the corpus does not contain.
        let given =
            if name.eq_ignore_ascii_case("www-authenticate") { answer.challenge() } else { answer.header(name) };
        if given != value.as_str().unwrap() {
            return Err(format!("{name} is {:?}", answer.header(name)));
        }
    }
    if let Some(pointer) = expect["error_pointer"].as_str()
        && !answer.pointers().iter().any(|given| given == pointer)
    {
        return Err(format!("points at {:?}", answer.pointers()));
    }
    // Twenty times the limit of the corpus, because tests run at the same time and on slow machines.
    match expect["max_wall_ms"].as_u64() {
        Some(max) if took > Duration::from_millis(20 * max) => Err(format!("took {took:?}")),
        _ => Ok(()),
    }
}
