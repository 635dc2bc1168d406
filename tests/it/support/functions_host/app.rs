//! Reads a function app as the host does: `host.json`, and `function.json` in each folder beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::routes::Template;
use super::timer::Schedule;

pub(super) struct FunctionApp {
    pub root: PathBuf,
    /// `customHandler.description.defaultExecutablePath`, beside host.json.
    pub program: PathBuf,
    pub pass_through: PassThrough,
    pub initialization_timeout: Duration,
    pub function_timeout: Duration,
    pub queues: QueueOptions,
    /// The functions in the order of their names, in which the host tries their routes.
    pub functions: Vec<Function>,
}

/// How the host passes HTTP requests to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassThrough {
    /// The request is streamed unchanged.
    Proxying,
    /// The request is built again, as older hosts do.
    Forwarding,
}

/// `extensions.queues`.
#[derive(Clone, Debug)]
pub(super) struct QueueOptions {
    pub batch_size: usize,
    pub new_batch_threshold: usize,
    pub max_polling_interval: Duration,
    pub visibility_timeout: Duration,
    pub max_dequeue_count: u64,
    pub base64: bool,
}

pub(super) struct Function {
    pub name: String,
    pub trigger: Trigger,
}

pub(super) enum Trigger {
    Http { methods: Vec<Method>, route: Template, anonymous: bool },
    Queue(QueueTrigger),
    Timer(TimerTrigger),
}

#[derive(Clone)]
pub(super) struct QueueTrigger {
    pub binding: String,
    pub queue: String,
    /// The name of the setting with the connection string.
    pub connection: String,
}

#[derive(Clone)]
pub(super) struct TimerTrigger {
    pub binding: String,
    pub schedule: Schedule,
    pub run_on_startup: bool,
}

impl FunctionApp {
    /// Reads the app. A setting `AzureFunctionsJobHost__a__b` replaces `a.b` in host.json.
    ///
    /// A real host disables a function whose file is wrong; here that ends the test.
    pub fn read(root: &Path, settings: &[(String, String)], knows_proxying: bool) -> Self {
        let mut host = read_json(&root.join("host.json"));
        assert_eq!(host["version"], "2.0", "host.json");
        for (name, value) in settings {
            if let Some(path) = name.strip_prefix("AzureFunctionsJobHost__") {
                *path.split("__").fold(&mut host, |at, key| &mut at[key]) = Value::from(value.as_str());
            }
        }
        let handler = &host["customHandler"];
        let program = root.join(text(&handler["description"]["defaultExecutablePath"]));
        assert!(program.is_file(), "{} is not there", program.display());
        let pass_through = if knows_proxying && flag(&handler["enableProxyingHttpRequest"]) {
            PassThrough::Proxying
        } else {
            assert!(flag(&handler["enableForwardingHttpRequest"]), "HTTP in the JSON mode is not played here");
            PassThrough::Forwarding
        };
        let prefix = host["extensions"]["http"]["routePrefix"].as_str().unwrap_or("api").to_owned();
        Self {
            root: root.to_owned(),
            program,
            pass_through,
            initialization_timeout: span(&handler["initializationTimeout"]).unwrap_or(Duration::from_secs(30)),
            function_timeout: span(&host["functionTimeout"]).unwrap_or(Duration::from_mins(5)),
            queues: QueueOptions::read(&host["extensions"]["queues"]),
            functions: functions(root, &prefix),
        }
    }
}

impl QueueOptions {
    fn read(queues: &Value) -> Self {
        let batch_size = number(&queues["batchSize"]).unwrap_or(16);
        assert!((1..=32).contains(&batch_size), "batchSize");
        Self {
            batch_size,
            new_batch_threshold: number(&queues["newBatchThreshold"]).unwrap_or(batch_size / 2),
            max_polling_interval: span(&queues["maxPollingInterval"]).unwrap_or(Duration::from_mins(1)),
            visibility_timeout: span(&queues["visibilityTimeout"]).unwrap_or(Duration::ZERO),
            max_dequeue_count: number(&queues["maxDequeueCount"]).unwrap_or(5) as u64,
            base64: queues["messageEncoding"].as_str().unwrap_or("base64") == "base64",
        }
    }
}

fn functions(root: &Path, prefix: &str) -> Vec<Function> {
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut functions: Vec<_> = folders
        .filter(|folder| folder.join("function.json").is_file())
        .map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let file = read_json(&folder.join("function.json"));
            let trigger = trigger(&name, file["bindings"].as_array().expect("bindings"), prefix);
            Function { name, trigger }
        })
        .collect();
    functions.sort_by_key(|function| function.name.to_lowercase());
    functions
}

fn trigger(function: &str, bindings: &[Value], prefix: &str) -> Trigger {
    let is = |binding: &Value, kind: &str| text(&binding["type"]).eq_ignore_ascii_case(kind);
    let (input, others) = bindings.split_first().expect("a binding");
    assert!(text(&input["direction"]) == "in", "{function}: the trigger comes first");
    let binding = text(&input["name"]).to_owned();
    if is(input, "httpTrigger") {
        // With another binding, the host would neither proxy nor forward the request.
        assert!(others.len() == 1 && is(&others[0], "http"), "{function}: HTTP in the JSON mode is not played here");
        let methods = input["methods"].as_array().map(Vec::as_slice).unwrap_or_default();
        let route = input["route"].as_str().unwrap_or(function);
        assert!(!route.starts_with("admin") && !route.starts_with("runtime"), "{function}: a route of the host's own");
        return Trigger::Http {
            methods: methods.iter().map(|method| text(method).to_uppercase().parse().unwrap()).collect(),
            route: Template::parse(&format!("{prefix}/{route}")),
            anonymous: input["authLevel"].as_str().unwrap_or("function").eq_ignore_ascii_case("anonymous"),
        };
    }
    assert!(others.is_empty(), "{function}: output bindings are not played here");
    if is(input, "queueTrigger") {
        let queue = text(&input["queueName"]).to_lowercase();
        let connection = input["connection"].as_str().unwrap_or("AzureWebJobsStorage").to_owned();
        return Trigger::Queue(QueueTrigger { binding, queue, connection });
    }
    assert!(is(input, "timerTrigger"), "{function}: {} is not played here", input["type"]);
    // The host would keep the status of the schedule in blobs, which the stand-in does not have.
    assert_eq!(input["useMonitor"], false, "{function}: a monitored timer is not played here");
    let schedule = Schedule::parse(text(&input["schedule"]));
    Trigger::Timer(TimerTrigger { binding, schedule, run_on_startup: flag(&input["runOnStartup"]) })
}

fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}"))
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

fn number(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| number.try_into().ok()).or_else(|| value.as_str()?.parse().ok())
}

/// A `TimeSpan` such as `00:00:30`.
fn span(value: &Value) -> Option<Duration> {
    let [hours, minutes, seconds] = value.as_str()?.split(':').collect::<Vec<_>>()[..] else {
        panic!("{value} is not hh:mm:ss")
    };
    let whole: u64 = hours.parse::<u64>().unwrap() * 3600 + minutes.parse::<u64>().unwrap() * 60;
    Some(Duration::from_secs(whole) + Duration::from_secs_f64(seconds.parse().unwrap()))
}
