//! The agents of docs/inbox.md.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::receivers::beside_packages;
use crate::support::app::TestApp;
use crate::support::client::in_seconds;
use crate::support::installed::{ROOT, installed};

/// A running agent. It ends when it is dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// They have no address. Each receives what was scheduled, does it once, and acknowledges it.
#[tokio::test(flavor = "multi_thread")]
async fn agents_behind_nat_receive_and_acknowledge() {
    let app = TestApp::start().await;
    let copy = beside_packages("inbox-agent.ts");
    let mut python = Command::new(installed("target/venv/bin/python"));
    python.arg("-B").arg(Path::new(ROOT).join("examples/inbox_agent.py"));
    let mut node = Command::new("node");
    node.args(["--import", "tsx"]).arg(copy.path()).current_dir(installed("target/receivers"));
    for (language, mut command, client) in [("Python", python, app.client()), ("Node", node, app.other_client())] {
        let id = client.id().to_owned();
        let url = format!("http://{}", app.address);
        let settings = [("SCHEDULER_URL", &*url), ("CLIENT_ID", &*id), ("API_KEY", client.key()), ("NO_PROXY", "*")];
        let mut agent = Agent(command.envs(settings).stdout(Stdio::piped()).spawn().unwrap());
        let inbox = |text: &str| json!({ "endpoint": null, "deliver": "inbox", "conversationText": text, "scheduledTime": in_seconds(0) });
        let ids = [client.scheduled(inbox("Grüße, 日本 🦀")).await, client.scheduled(inbox("second")).await];
        for id in &ids {
            let record = client.wait_for(id, "Completed").await;
            assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{language}");
        }
        let output = agent.0.stdout.take().unwrap();
        let lines: Vec<_> = BufReader::new(output).lines().take(2).map(Result::unwrap).collect();
        assert_eq!(lines, ["Grüße, 日本 🦀", "second"], "{language}");
    }
}
