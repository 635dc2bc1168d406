//! What people ask agents for, and what the store has after an agent has done it.
//!
//! Each task has the calls that models make: first wrong ones, each with what its answer must say so that the next call can
//! be right, and then the right ones. A task is judged by what is scheduled at its end and not by the calls. What a task does
//! not name must be as before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{ConversationStore, IndexMark};
use mcp_scheduler::testing::sealer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::app::{BareApi, Fixed, Running};
use crate::support::client::ApiClient;
use crate::support::installed::{ROOT, installed};
use crate::support::mcp_wire::Returned;

/// A Tuesday, 10:00 in Berlin.
const NOW: &str = "2030-01-01T09:00:00.000Z";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evaluation {
    /// What is scheduled before each task, by a short name.
    given: BTreeMap<String, Value>,
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    /// What the person says.
    said: String,
    calls: Vec<Call>,
    /// Fields of the given conversations that are other ones at the end.
    #[serde(default)]
    changed: BTreeMap<String, Value>,
    /// Fields of the conversations that are there besides the given ones.
    #[serde(default)]
    new: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    #[serde(default)]
    arguments: Value,
    /// The call is refused, and its text has these parts.
    #[serde(default)]
    refused: Vec<String>,
    /// Parts of the texts of the result, if the task needs them.
    #[serde(default)]
    says: Vec<String>,
}

/// The conversations of a client, as REST shows them.
type Store = BTreeMap<String, Value>;

async fn start() -> Running {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    let api = BareApi { clock, ..BareApi::new() };
    // As the service does at the start of an empty store: lists are in their order from the beginning.
    let store = ConversationStore::new(Arc::new(api.table.clone()), sealer());
    store.write_index_mark(None, IndexMark::Complete).await.unwrap();
    api.start().await
}

/// Schedules what a task begins with, and returns the ids by their short names.
async fn prepare(client: &ApiClient, given: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for (short, arguments) in given {
        let tool = if arguments.get("name").is_some() { "scheduleNamedConversation" } else { "scheduleConversation" };
        let scheduled = client.call_tool(tool, arguments.clone()).await;
        assert!(!scheduled.is_error, "{short}: {}", scheduled.text);
        ids.insert(short.clone(), scheduled.structured["conversationId"].as_str().unwrap().to_owned());
    }
    // What is due now in the inbox fails: its only attempt is over.
    let received = client.call_tool("receiveConversations", json!({})).await;
    for item in received.structured["conversations"].as_array().unwrap() {
        let over = json!({ "conversationId": item["conversationId"], "receipt": item["receipt"], "outcome": "failed" });
        assert!(!client.call_tool("acknowledgeConversation", over).await.is_error);
    }
    ids
}

async fn store(client: &ApiClient) -> Store {
    let listed = client.list("?limit=100").await.json();
    let mut all = Store::new();
    for summary in listed["conversations"].as_array().unwrap() {
        let id = summary["conversationId"].as_str().unwrap();
        all.insert(id.to_owned(), client.status(id).await.json());
    }
    all
}

/// Replaces `{id: word}` by the id of the conversation with this word in the last list.
fn fill(value: &Value, listed: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("{id: ").and_then(|word| word.strip_suffix('}')) {
            Some(word) => id_of(word, listed),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| fill(item, listed)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), fill(value, listed))).collect(),
        _ => value.clone(),
    }
}

/// The id of the only conversation with this word, or a text that no tool accepts.
fn id_of(word: &str, listed: &Value) -> Value {
    let all = listed["conversations"].as_array().into_iter().flatten();
    let found: Vec<_> = all.filter(|conversation| conversation.to_string().contains(word)).collect();
    match found[..] {
        [conversation] => conversation["conversationId"].clone(),
        _ => json!(format!("{} conversations with {word} in {listed}", found.len())),
    }
}

/// Whether a value has all members of another one, and the same values for them.
fn has(value: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => members.iter().all(|(name, expected)| has(&value[name], expected)),
        _ => value == expected,
    }
}

fn evaluation() -> Evaluation {
    let text = fs::read_to_string(Path::new(ROOT).join("tests/fixtures/agent_tasks.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A service with what a task begins with.
struct Prepared {
    api: Running,
    client: ApiClient,
    ids: BTreeMap<String, String>,
    before: Store,
}

impl Prepared {
    async fn new(given: &BTreeMap<String, Value>) -> Self {
        let api = start().await;
        let client = api.client();
        let ids = prepare(&client, given).await;
        let before = store(&client).await;
        Self { api, client, ids, before }
    }

    /// What is not in the store as it must be at the end of the task.
    async fn wrong_after(&self, task: &Task) -> Vec<String> {
        let (mut after, mut wrong) = (store(&self.client).await, Vec::new());
        for (short, id) in &self.ids {
            let (Some(now), unchanged) = (after.remove(id), &self.before[id]) else {
                wrong.push(format!("{short} is gone"));
                continue;
            };
            let is_right = task.changed.get(short).map_or_else(|| now == *unchanged, |expected| has(&now, expected));
            if !is_right {
                wrong.push(format!("{short} is {now}"));
            }
        }
        let mut others: Vec<_> = after.into_values().collect();
        for expected in &task.new {
            match others.iter().position(|conversation| has(conversation, expected)) {
                Some(found) => drop(others.remove(found)),
                None => wrong.push(format!("{expected} is not there")),
            }
        }
        wrong.extend(others.iter().map(|conversation| format!("{conversation} is there")));
        wrong
    }
}

async fn run(task: &Task, given: &BTreeMap<String, Value>) -> Vec<String> {
    let (prepared, mut wrong) = (Prepared::new(given).await, Vec::new());
    let mut listed = Value::Null;
    for Call { tool, arguments, refused, says } in &task.calls {
        let arguments = if arguments.is_null() { json!({}) } else { fill(arguments, &listed) };
        let Returned { is_error, text, structured } = prepared.client.call_tool(tool, arguments.clone()).await;
        let shown = format!("{text}\n{structured}");
        let parts = refused.iter().chain(says).filter(|part| !shown.contains(*part));
        wrong.extend(parts.map(|part| format!("{tool} {arguments} does not say {part:?}: {text}")));
        if is_error == refused.is_empty() {
            wrong.push(format!("{tool} {arguments}: {text}"));
        }
        if structured.get("conversations").is_some() {
            listed = structured;
        }
    }
    wrong.extend(prepared.wrong_after(task).await);
    wrong
}

#[tokio::test]
async fn what_people_ask_for_is_what_the_store_has() {
    let Evaluation { given, tasks } = evaluation();
    assert!(tasks.len() >= 40, "{} tasks", tasks.len());
    let mut wrong = String::new();
    for task in &tasks {
        for problem in run(task, &given).await {
            wrong = format!("{wrong}\n“{}”: {problem}", task.said);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the model did for one task.
#[derive(Deserialize)]
struct Done {
    called: Vec<String>,
    refused: usize,
}

/// How many tasks it does right is printed and not checked: that is a measure of the model.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "make evaluate installs the model and runs this"]
async fn a_local_model_gets_an_answer_to_every_call() {
    let Evaluation { given, mut tasks } = evaluation();
    let (mut prepared, mut asked) = (Vec::new(), Vec::new());
    for task in &mut tasks {
        // The words of a text are the model's own.
        task.new.iter_mut().for_each(|new| drop(new.as_object_mut().unwrap().remove("conversationText")));
        let service = Prepared::new(&given).await;
        let (url, token) = (format!("http://{}/mcp", service.api.address), service.client.token().await);
        asked.push(json!({ "url": url, "token": token, "said": task.said }));
        prepared.push(service);
    }
    let mut command = Command::new(installed("target/local-model-venv/bin/python"));
    command.arg(Path::new(ROOT).join("tests/mcp-clients/local_model.py"));
    command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let (began, mut model) = (Instant::now(), command.spawn().unwrap());
    serde_json::to_writer(model.stdin.take().unwrap(), &asked).unwrap();
    let lines = BufReader::new(model.stdout.take().unwrap()).lines();
    let (mut counts, mut calls, mut refused) = (BTreeMap::from([("right", 0), ("wrong", 0), ("no call", 0)]), 0, 0);
    for ((line, task), service) in lines.zip(&tasks).zip(&prepared) {
        let done: Done = serde_json::from_str(&line.unwrap()).unwrap();
        let verdict = match service.wrong_after(task).await[..] {
            _ if done.called.is_empty() => "no call",
            [] => "right",
            _ => "wrong",
        };
        println!("{verdict:7}  {}  {:?}, {} refused", task.said, done.called, done.refused);
        *counts.get_mut(verdict).unwrap() += 1;
        (calls, refused) = (calls + done.called.len(), refused + done.refused);
    }
    let status = model.wait().unwrap();
    assert!(status.success() && counts.values().sum::<usize>() == tasks.len(), "{status}, {counts:?}");
    println!("{counts:?} of {} tasks, {calls} calls, {refused} refused, {:.0?}", tasks.len(), began.elapsed());
}
