//! The first start: no configuration, the printed commands, and the demo.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::client::{http, random_part};
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::service::{BINARY, CLIENT, CONFIGURED, KEY, Place, files, names, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_printed_on_the_first_run_deliver_a_conversation_and_show_its_secret() {
    let place = Place::new();
    let service = place.start(&[]);
    let printed = service.stdout();
    assert!(printed.lines().count() <= 25, "{printed}");
    let page = printed.lines().find(|line| line.trim_start().starts_with("http://")).unwrap();
    let dashboard = http().get(page.trim()).send().await.unwrap().text().await.unwrap();
    assert!(dashboard.contains("<title>"), "{dashboard}");
    let commands: Vec<_> = printed.lines().filter_map(|line| line.trim().strip_prefix(BINARY)).collect();
    let [listen, keys] = commands[..] else { panic!("two commands: {printed}") };
    // Every shell reads these characters in the same way, among them bash and PowerShell.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " \"/.:_-".contains(c);
    assert!(commands.iter().all(|command| command.chars().all(is_plain)), "{commands:?}");
    let run = |command: &str| {
        let command = format!("{BINARY}{command}");
        let ran =
            Command::new("bash").args(["-c", &command]).current_dir(place.cwd()).output().expect("bash is needed");
        assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
        text(&ran.stdout)
    };
    let shown = run(listen);
    assert!(shown.contains("text       Hello") && shown.contains("signature  verifies"), "{shown}");
    assert!(run(keys).contains("whsec_"));

    let scheduled = shown.lines().find_map(|line| line.strip_prefix("scheduled  ")).unwrap();
    let (client, key) = printed_credentials(&printed);
    let api = Api::login(service.url(), &client, &key).await;
    let record = api.completed(scheduled.split(' ').next().unwrap(), Duration::from_secs(20)).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_file_is_private_and_the_key_is_printed_once() {
    let place = Place::new();
    let mut service = place.spawn_command(with_umask(&place, "000"));
    service.wait_until_listening();
    let (client, key) = printed_credentials(&service.stdout());
    Api::login(service.url(), &client, &key).await;
    assert!(!service.stderr().contains(&key));
    service.stop();

    assert_eq!(names(&place.cwd()), [".scheduler"]);
    assert!(names(&place.tmp()).is_empty());
    let credentials = place.data().join("credentials.json");
    let secret = random_part(&key);
    for file in files(&place.data()).into_iter().filter(|file| *file != credentials) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "the key is in {}", file.display());
    }

    let second = place.start(&[("RUST_LOG", "trace")]);
    assert!(!second.stdout().contains(&key), "{}", second.stdout());
    assert!(second.stdout().contains(".scheduler/credentials.json"), "{}", second.stdout());
    let api = Api::login(second.url(), &client, &key).await;
    api.schedule(Duration::ZERO, "http://127.0.0.1:9/").await;
    let log = second.stderr_with("attempt finished");
    assert!(!log.contains(&key) && !log.contains(api.token()), "{log}");
}

/// The service, started with this umask.
fn with_umask(place: &Place, umask: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec '{BINARY}'")]).current_dir(place.cwd()).env_clear();
    command.env("PORT", "0");
    command
}

#[test]
fn everything_in_the_data_directory_is_for_its_owner_alone_whatever_the_umask() {
    // The most careless umask, and one that would not even let the owner in.
    for umask in ["000", "777"] {
        let place = Place::new();
        let mut service = place.spawn_command(with_umask(&place, umask));
        service.wait_until_listening();
        service.stop();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (files, mut directories) = (files(&place.data()), vec![place.data()]);
        directories.extend(files.iter().filter_map(|file| file.parent()).map(Path::to_owned));
        assert!(files.len() > 5 && directories.iter().all(|directory| mode(directory) == 0o700), "{directories:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{} with umask {umask}", file.display());
        }
    }
}

#[test]
fn a_data_directory_or_a_file_of_secrets_that_others_can_use_is_refused() {
    let place = Place::new();
    place.start(&[]).stop();
    let data = place.data();
    for (path, open, close) in [
        (data.clone(), 0o755, 0o700),
        (data.join("credentials.json"), 0o644, 0o600),
        (data.join("secrets.json"), 0o640, 0o600),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let refused = place.run(&[], &[]);
        let errors = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&format!("run: chmod {close:o} ")), "{errors}");
        fs::set_permissions(&path, fs::Permissions::from_mode(close)).unwrap();
    }
    // A link that somebody prepared is not followed.
    let (file, elsewhere) = (data.join("credentials.json"), place.tmp().join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let errors = text(&place.run(&[], &[]).stderr);
    assert!(errors.contains("credentials.json is a symbolic link"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_file_shows_a_client_only_while_it_can_log_in() {
    let place = Place::new();
    let first = place.start(&[]);
    let (client, key) = printed_credentials(&first.stdout());
    let caller = Api::login(first.url(), &client, &key).await;
    first.stop();
    let file = place.data().join("credentials.json");
    for settings in [&CONFIGURED[..2], &CONFIGURED[..]] {
        let service = place.start(settings);
        assert!(!file.exists() && !service.stdout().contains("credentials.json"), "{}", service.stdout());
        Api::login(service.url(), CLIENT, KEY).await;
        assert_eq!(Api::try_login(service.url(), &client, &key).await.err(), Some(401));
        service.stop();
    }
    let again = place.start(&[]);
    Api::login(again.url(), &client, &key).await;
    again.stop();
    // Without the file there is another key, and everything else is as before.
    fs::remove_file(&file).unwrap();
    let replaced = place.start(&[]);
    let (client, other) = printed_credentials(&replaced.stdout());
    assert_ne!(other, key);
    Api::login(replaced.url(), &client, &other).await;
    let unknown = caller.at(replaced.url()).try_status("01890000-0000-7000-8000-00000000000f").await;
    assert_eq!(unknown, Err(404), "a token of the first start is still valid");
}

#[test]
fn a_first_start_on_a_used_port_leaves_the_greeting_to_the_next_start() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(!place.run(&[], &[("PORT", &port)]).status.success());
    printed_credentials(&place.start(&[]).stdout());
}

#[test]
fn with_the_address_0_0_0_0_the_printed_command_is_the_demo() {
    let place = Place::new();
    let service = place.start(&[("HOST", "0.0.0.0")]);
    let (printed, log) = (service.stdout(), service.stderr());
    assert!(log.contains("PUBLIC_URL is not set") && log.contains("at http://127.0.0.1:"), "{log}");
    let (listening, steps) = printed.split_once('\n').unwrap();
    assert!(listening.contains("http://0.0.0.0:"), "{printed}");
    // Other machines reach this service, so loopback is no endpoint and a receiver on loopback gets nothing.
    assert!(steps.contains(" demo\n") && !steps.contains("listen"), "{printed}");
    assert!(log.contains("deliveries go to the internet only"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_when_its_output_is_not_read() {
    let place = Place::new();
    let port = fixed_port().to_string();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.command(&[], &CONFIGURED);
    command.env("PORT", &port).stdout(writer);
    let mut service = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut serves = false;
    for _ in 0..3000 {
        serves = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_ok();
        if serves {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(serves);
    Api::login(&format!("http://127.0.0.1:{port}"), CLIENT, KEY).await;
    service.kill().unwrap();
    service.wait().unwrap();
}

#[test]
fn the_demo_shows_an_arrival_with_its_lateness_and_leaves_nothing_behind() {
    let place = Place::new();
    let demo = place.run(&["demo"], &[]);
    let shown = text(&demo.stdout);
    assert!(demo.status.success(), "{shown}{}", text(&demo.stderr));
    let arrived = shown.lines().find(|line| line.starts_with("arrived ")).expect("no arrival");
    let before = arrived.split_once(" ms after its time").expect("no lateness").0;
    let lateness: u32 = before.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(lateness < 10_000, "{arrived}");
    assert!(shown.contains("Completed"), "{shown}");
    assert_eq!(text(&demo.stderr), "", "no line of the log comes between the lines of the demo");
    assert!(names(&place.cwd()).is_empty() && names(&place.tmp()).is_empty());
}

#[test]
fn the_demo_cleans_up_when_it_is_interrupted() {
    let place = Place::new();
    let mut demo = place.spawn_command(place.command(&["demo"], &[]));
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !demo.stdout().contains("scheduled ") {
        assert!(std::time::Instant::now() < deadline, "{}", demo.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    let [dir] = &*names(&place.tmp()) else { panic!("one directory") };
    let random = dir.strip_prefix("mcp-scheduler-demo-").unwrap();
    assert!(random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{dir}");
    let mode = fs::metadata(place.tmp().join(dir)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    demo.signal("INT");
    assert!(!demo.wait().success());
    assert!(names(&place.tmp()).is_empty());
}

fn printed_credentials(printed: &str) -> (String, String) {
    let value = |label: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label} in {printed}")).trim().to_owned()
    };
    (value("client id"), value("api key"))
}
