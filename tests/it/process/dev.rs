//! `mcp-scheduler dev`: what it prints, what it leaves behind, and when it ends.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::process_api::Api;
use crate::support::service::{CONFIGURED, Place, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_it_prints_work_and_nothing_is_kept() {
    let place = Place::new();
    // The settings of a service in this directory count for nothing.
    let mut dev = place.spawn_command(place.command(&["dev", "--port", "0"], &CONFIGURED));
    dev.wait_until_listening();
    let url = dev.stdout().lines().next().unwrap().split(" is listening on ").nth(1).unwrap().to_owned();
    let url = url.split(' ').next().unwrap();
    let greeting = dev.stdout_with("--json");
    let exported = greeting.lines().find_map(|line| line.trim().strip_prefix("export ")).unwrap();
    let settings: Vec<_> = exported.split(' ').map(|setting| setting.split_once('=').unwrap()).collect();
    let (_, key) = settings[2];
    assert!(greeting.contains(&format!("{url}/dev#{key}\n")), "{greeting}");

    let schedule = greeting.lines().find(|line| line.contains(" schedule ")).unwrap();
    let arguments: Vec<_> = schedule.split_whitespace().skip(1).map(|word| word.trim_matches('"')).collect();
    let scheduled = place.run(&arguments, &settings);
    assert!(scheduled.status.success(), "{}", text(&scheduled.stderr));
    let curl: Vec<_> = greeting.lines().find(|line| line.contains("curl")).unwrap().split('"').collect();
    let turned = std::process::Command::new("curl")
        .args(["--silent", "--noproxy", "*", &format!("{url}/dev/clock"), "--header", curl[1], "--header"])
        .args(["content-type: application/json", "--data", r#"{"advance": "P4D"}"#])
        .output()
        .unwrap();
    let turned: Value = serde_json::from_slice(&turned.stdout).unwrap();
    assert_eq!(turned["attempts"]["success"], 1, "{turned}");
    let arrivals = Api::login(url, settings[1].1, key).await.get("/dev/inbox").await;
    assert_eq!(arrivals["arrivals"][0]["text"], "Hello");

    dev.stop();
    for dir in [place.cwd(), place.tmp()] {
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "{} is empty", dir.display());
    }
}

#[test]
fn it_ends_when_standard_input_closes_if_that_was_asked_for() {
    let place = Place::new();
    for (arguments, ends) in [(&["--until-stdin-closes"][..], true), (&[], false)] {
        let mut command = place.command(&[&["dev", "--port", "0", "--json"], arguments].concat(), &[]);
        // Standard input ends at once.
        command.stdin(Stdio::null());
        let mut dev = place.spawn_command(command);
        let line = dev.stdout_with("\n");
        let shown: Value = serde_json::from_str(&line).unwrap();
        for member in ["url", "clientId", "apiKey", "signingSecret"] {
            assert!(shown[member].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
        if ends {
            assert_eq!(dev.wait().code(), Some(0));
        } else {
            assert!(dev.is_running());
            dev.stop();
        }
    }
}

#[test]
fn a_port_that_is_in_use_is_named_with_a_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Place::new().run(&["dev", "--port", &port], &[]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains(&port) && printed.contains("--port"), "{printed}");
}
