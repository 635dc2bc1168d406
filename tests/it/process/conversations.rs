//! The commands on conversations, against a running service.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use mcp_scheduler::domain::Timestamp;
use serde_json::Value;

use crate::support::ports::fixed_port;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service, names, text};

const HOOK: &str = "https://example.com/hook";

/// A person on another machine than the service.
struct Person {
    place: Place,
    settings: Vec<(&'static str, String)>,
}

impl Person {
    fn at(service: &Service) -> Self {
        let url = ("SCHEDULER_URL", service.url().to_owned());
        let client = CONFIGURED[..2].iter().map(|(name, value)| (*name, (*value).to_owned()));
        let zone = ("TZ", "Europe/Berlin".to_owned());
        Self { place: Place::new(), settings: client.chain([url, zone]).collect() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.place.run(arguments, &settings)
    }

    /// What a command prints for a person, with zeros for all digits and `ID` for an id.
    #[track_caller]
    fn shown(&self, arguments: &[&str], id: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        let masked = text(&output.stdout).replace(id, "ID");
        masked.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
    }

    /// What a command prints for a program.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn id_of(&self, arguments: &[&str]) -> String {
        self.json(arguments)["conversationId"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), ""), "{arguments:?}: {errors}");
        errors
    }
}

#[test]
fn a_conversation_is_scheduled_listed_moved_shown_and_cancelled() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let person = Person::at(&service);
    let id = person.id_of(&["schedule", "Hello", "--in", "90s", "--to", HOOK, "--label", "team=ops"]);
    person.id_of(&["schedule", "Other", "--in", "PT2H", "--to", HOOK]);
    assert_eq!(
        person.shown(&["list", "--label", "team=ops"], &id),
        format!(
            "ID{:34}  STATUS     DUE      Europe/Berlin        UTC                  ATTEMPTS  ENDPOINT             TEXT\n\
             ID  Scheduled  in 00 s  0000-00-00 00:00:00  0000-00-00 00:00:00  0         https://example.com  Hello\n",
            ""
        )
    );
    assert_eq!(person.json(&["list", "--limit", "1"])["conversations"].as_array().unwrap().len(), 1);
    assert_eq!(person.json(&["list", "--to", "2000-01-01T00:00Z"])["conversations"].as_array().unwrap().len(), 0);
    assert_eq!(
        person.shown(&["move", &id, "--in", "1h30m"], &id),
        "moved      ID\ndue        0000-00-00 00:00:00 Europe/Berlin (0000-00-00 00:00:00 UTC, in 00 min)\n"
    );
    let shown = person.shown(&["show", &id], &id);
    let (fields, created) = shown.split_once("created").unwrap();
    assert_eq!(
        fields,
        "id         ID\nstatus     Scheduled\ntext       Hello\nendpoint   POST https://example.com/hook\n\
         due        0000-00-00 00:00:00 Europe/Berlin (0000-00-00 00:00:00 UTC, in 00 min)\nlabels     team=ops\n"
    );
    assert!(created.starts_with("    0000-00-00 00:00:00 Europe/Berlin (0000-00-00 00:00:00 UTC, "), "{created}");
    assert_eq!(person.shown(&["cancel", &id], &id), "ID is cancelled.\n");
    assert!(person.shown(&["watch", &id], &id).ends_with("  ID  Cancelled   after 0 attempts\n"));
    assert_eq!(person.json(&["show", &id])["status"], "Cancelled");
    let late = person.refused(&["move", &id, "--in", "1h"], 1);
    assert!(late.starts_with("mcp-scheduler: The conversation "), "{late}");
    assert!(names(&person.place.cwd()).is_empty(), "nothing is kept");
}

#[test]
fn a_name_a_cron_expression_and_a_body_are_sent() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let person = Person::at(&service);
    std::fs::write(person.place.cwd().join("body.json"), r#"{"text": "{{conversationText}}"}"#).unwrap();
    let arguments = ["schedule", "Report", "--cron", "0 9 * * 1-5", "--zone", "Europe/Berlin", "--to", HOOK];
    let named = [&arguments[..], &["--name", "daily-report", "--body", "@body.json"]].concat();
    let id = person.id_of(&named);
    let again = person.shown(&named, &id).replace(service.url(), "");
    assert!(
        again.starts_with("unchanged  ID on http://") && again.contains("\nthen       0000-00-00 00:00:00 Europe"),
        "{again}"
    );
    let shown = person.json(&["show", &id]);
    assert_eq!(
        (&shown["recurrence"]["cron"], &shown["body"]["text"]),
        (&"0 9 * * 1-5".into(), &"{{conversationText}}".into())
    );
    assert!(person.shown(&["show", &id], &id).contains("\nrecurs     0 0 * * 0-0 in Europe/Berlin, occurrence 0\n"));

    let preview = ["preview", "--cron", "0 9 * * 1-5", "--zone", "Europe/Berlin", "--count", "2"];
    assert_eq!(person.json(&preview)["instants"].as_array().unwrap().len(), 2);
    let shown = text(&person.run(&preview).stdout);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.len() == 3 && lines[0].contains("Europe/Berlin        UTC"), "{shown}");
    assert!(lines[1..].iter().all(|line| line.contains(" 09:00:00  ")), "{shown}");
    assert!(
        person
            .shown(&["preview", "--at", "2030-03-31T02:30", "--zone", "Europe/Berlin"], "-")
            .contains("\nnote       ")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_failed_is_watched_shown_and_delivered_again() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let person = Person::at(&service);
    let receiver = Receiver::start([Reply::status(400), Reply::status(400), Reply::status(200)]).await;
    let endpoint = receiver.url("/");
    let send = || person.id_of(&["schedule", "Hello", "--in", "0s", "--to", &endpoint]);
    let (first, second) = (send(), send());
    for id in [&first, &second] {
        let watched = person.shown(&["watch", id], id);
        assert!(
            watched
                .ends_with("  ID  Failed      after 0 attempt: the endpoint answered 000, which is not tried again\n"),
            "{watched}"
        );
    }
    let shown = person.shown(&["show", &first], &first);
    assert!(shown.contains("\nATTEMPT  STARTED") && shown.contains("  permanentFailure  000"), "{shown}");
    assert_eq!(person.shown(&["redeliver", &first], &first), "ID is delivered again.\n");
    assert!(person.shown(&["watch", &first], &first).ends_with("  ID  Completed   after 0 attempts\n"));
    // A later start than the failures.
    assert_eq!(person.json(&["redeliver", "--failed", "--since", "0s"])["redelivered"], 0);
    assert_eq!(person.shown(&["redeliver", "--failed", "--since", "1h"], "-"), "0 conversation is delivered again.\n");
    assert!(person.shown(&["watch", &second], &second).contains("  ID  Completed   "));
    person.refused(&["redeliver", &second], 1);
}

#[test]
fn a_conversation_of_the_inbox_is_received_and_acknowledged() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let person = Person::at(&service);
    assert_eq!(person.shown(&["receive"], "-"), "Nothing is due.\n");
    let id = person.id_of(&["schedule", "Look at CI", "--in", "1s", "--inbox"]);
    let shown = person.shown(&["receive", "--wait", "20"], &id);
    assert!(
        shown.starts_with("id         ID\nreceipt    ") && shown.contains("\nattempt    0\ndue        0000-"),
        "{shown}"
    );
    assert!(shown.contains("\nlease      0000-") && shown.ends_with("\ntext       Look at CI\n"), "{shown}");
    assert_eq!(person.json(&["show", &id])["attempts"][0]["outcome"], "inFlight");
    let over = person.refused(&["acknowledge", &id, "0-9-00000000000001"], 1);
    assert!(over.contains("receipt"), "{over}");

    for note in ["Look again", "Look elsewhere"] {
        person.id_of(&["schedule", note, "--in", "0s", "--inbox"]);
    }
    let answer = person.json(&["receive", "--max", "10", "--lease", "300"]);
    let time = |time: &Value| Timestamp::parse(time.as_str().unwrap()).unwrap().as_secs();
    let received = answer["conversations"].as_array().unwrap();
    assert_eq!((received.len(), time(&received[0]["leaseUntil"]) - time(&answer["serverTime"])), (2, 300));
    for (it, (failed, status)) in received.iter().zip([(&["--failed"][..], "InProgress"), (&[], "Completed")]) {
        let (id, receipt) = (it["conversationId"].as_str().unwrap(), it["receipt"].as_str().unwrap());
        let acknowledge = [&["acknowledge", id, receipt][..], failed].concat();
        assert_eq!(person.shown(&acknowledge, id), "ID is acknowledged.\n");
        assert_eq!(person.json(&["show", id])["status"], status);
    }
    person.refused(&["schedule", "both", "--in", "0s", "--inbox", "--to", HOOK], 2);
}

#[test]
fn changes_are_printed_until_ctrl_c() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let person = Person::at(&service);
    let before = person.id_of(&["schedule", "Before", "--in", "1h", "--to", HOOK]);
    let watcher = Place::new();
    let settings: Vec<_> = person.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut watching = watcher.spawn_command(watcher.command(&["watch"], &settings));
    // It has looked once when it sees a change.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut ids = Vec::new();
    while !ids.iter().any(|id: &String| watching.stdout().contains(id.as_str())) {
        assert!(Instant::now() < deadline, "{}{}", watching.stdout(), watching.stderr());
        ids.push(person.id_of(&["schedule", "Now", "--in", "1h", "--to", HOOK]));
        std::thread::sleep(Duration::from_millis(200));
    }
    person.run(&["cancel", &before]);
    while !watching.stdout().contains(&format!("  {before}  Cancelled   ")) {
        assert!(Instant::now() < deadline, "{}{}", watching.stdout(), watching.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!watching.stdout().contains(&format!("{before}  Scheduled")), "what was there before is no change");
    watching.signal("INT");
    assert_eq!(watching.wait().code(), Some(0));
}

#[test]
fn what_goes_wrong_has_a_reason_and_an_exit_code() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let mut person = Person::at(&service);
    let wrong = ["schedule", "Hello", "--in", "soon", "--to", "somewhere"];
    let errors = person.refused(&wrong, 1);
    assert!(
        errors.contains(":\n  delay ") && errors.contains("\n  endpoint ") && errors.contains("\nCorrect these errors"),
        "{errors}"
    );
    let output = person.run(&[&wrong[..], &["--json"]].concat());
    let problem: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &problem["status"]), (Some(1), &400.into()));
    for arguments in [["show", "nothing"], ["cancel", "../token"], ["watch", "01890000-0000-7000-8000-00000000000f"]] {
        person.refused(&arguments, 1);
    }
    for arguments in
        [&["schedule", "Hello", "--to", HOOK][..], &["show"], &["move", "ID"], &["redeliver"], &["watch", "a", "b"]]
    {
        assert!(person.refused(arguments, 2).contains("Usage: mcp-scheduler"), "{arguments:?}");
    }
    let nobody = format!("http://127.0.0.1:{}", fixed_port());
    assert!(person.refused(&["list", "--url", &nobody], 3).contains("cannot reach the service at "));
    person.settings[1].1 = "another-key-for-the-tests".to_owned();
    assert!(person.refused(&["list"], 4).contains("refuses the client tester or its key"));
    person.settings.drain(..2);
    assert!(person.refused(&["list"], 4).contains("needs a login"));
    person.settings.clear();
    person.settings.push(("PORT", fixed_port().to_string()));
    assert!(person.refused(&["list"], 3).contains("start the service first"));
    assert!(names(&person.place.cwd()).is_empty(), "nothing is made");
}

#[test]
fn in_the_directory_of_the_service_nothing_has_to_be_set() {
    let (place, port) = (Place::new(), fixed_port().to_string());
    let _service = place.start(&[("PORT", &port)]);
    let output = place.run(&["schedule", "Hello", "--in", "1h", "--to", HOOK, "--json"], &[("PORT", &port)]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_login_is_kept_for_its_own_service_in_a_private_file() {
    let (place, other) = (Place::new(), Place::new());
    let (service, elsewhere) = (place.start(&CONFIGURED), other.start(&CONFIGURED));
    let machine = Place::new();
    let home = machine.tmp().display().to_string();
    let settings = [("HOME", home.as_str())];
    let login = |key: &str| {
        let mut command = machine.command(&["login", "--url", service.url(), "--client", CLIENT], &settings);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        running.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
        running.wait_with_output().unwrap()
    };
    let profile = machine.tmp().join(".config/mcp-scheduler/profile.json");
    assert_eq!(login("another-key-for-the-tests").status.code(), Some(4));
    assert_eq!(login("").status.code(), Some(1));
    assert!(!profile.exists());
    let output = login(KEY);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(profile.to_str().unwrap()) && !text(&output.stdout).contains(KEY));
    assert_eq!(std::fs::metadata(&profile).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(machine.run(&["list"], &settings).status.code(), Some(0));
    let refused = machine.run(&["list", "--url", elsewhere.url()], &settings);
    assert_eq!(refused.status.code(), Some(4), "the key is for the service of the login alone");
}

#[test]
fn completions_are_made_for_each_shell_and_bash_loads_them() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = place.run(&["completions", shell], &[]);
        assert!(output.status.success() && text(&output.stdout).contains("redeliver"), "{shell}");
    }
    assert_eq!(place.run(&["completions", "cmd"], &[]).status.code(), Some(2));
    let script = text(&place.run(&["completions", "bash"], &[]).stdout);
    std::fs::write(place.cwd().join("complete.bash"), script).unwrap();
    let asked = "source complete.bash && COMP_WORDS=(mcp-scheduler red) COMP_CWORD=1 && \
                 _mcp__scheduler mcp-scheduler red mcp-scheduler && echo \"${COMPREPLY[@]}\"";
    let loaded = std::process::Command::new("bash").args(["-c", asked]).current_dir(place.cwd()).output().unwrap();
    assert_eq!(text(&loaded.stdout), "redeliver\n", "{}", text(&loaded.stderr));
}
