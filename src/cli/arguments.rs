//! The command that the arguments name.

use super::backup::{ExportArguments, ImportArguments};
use super::client::ClientArguments;
use super::cost::CostArguments;
use super::doctor::DoctorArguments;
use super::listen::ListenArguments;

/// The text of `--help`.
pub(super) const HELP: &str = "\
mcp-scheduler: deliver a text to an HTTP endpoint at a time

Usage:
  mcp-scheduler                   start the service (settings: see README.md)
  mcp-scheduler demo              schedule one conversation and show its delivery
  mcp-scheduler listen [--port PORT] [--client NAME | --secret whsec_…] [--answer ANSWERS | --forward URL]
                       [--schedule TEXT [--in TIME] [--url URL]] [--once]
                                  receive deliveries on 127.0.0.1, show each one, and say whether its signature verifies
                                  and what to change if not; ANSWERS are statuses, or timeout: 500,timeout,200;
                                  --forward passes each request on to your own server; --schedule schedules a text on
                                  the running service; --once ends after a delivery, with 0 if it verifies
  mcp-scheduler client add NAME [--read-only | --scopes SCOPE,SCOPE] [--redirect URI]…
                                  add a client and print its API key; the scopes are conversations:read,
                                  conversations:write, webhooks:read (a client has these three if none are named),
                                  metrics:read and operator; --redirect is for programs that cannot register
                                  themselves, and whose users type the id of the client in: logins return to this address
  mcp-scheduler client list
  mcp-scheduler client show NAME
  mcp-scheduler client rotate NAME
                                  make another API key; the one before it stays valid until the next two commands
  mcp-scheduler client retire NAME
                                  end the key before the newest one
  mcp-scheduler client disable NAME
  mcp-scheduler client enable NAME
  mcp-scheduler client signatures NAME v1|v1,v1a
                                  let the deliveries of a client have the signature with its secret alone, or also the one
                                  with its public key
                                  the client commands above call the running service, or open its store if nothing runs;
                                  --url URL names another service, --json prints JSON
  mcp-scheduler client keys NAME [--json]
                                  print the secrets and the public keys with which receivers verify the deliveries of
                                  this client; it needs the settings of the service and no store
  mcp-scheduler export [--reveal] [--url URL]
                                  write all clients and conversations to standard output, as JSON lines; secrets stay
                                  encrypted unless --reveal is given
  mcp-scheduler import [FILE] [--url URL]
                                  add what an export has, from a file or from standard input; what exists already stays
                                  as it is, so an import can be run again; stop the old service first
                                  both call the running service, or open its store if nothing runs
  mcp-scheduler verify            say whether the store is whole; the exit code is 0 if it is
  mcp-scheduler repair [--replace]
                                  say what can be saved of a damaged embedded store and what is lost;
                                  --replace puts a store with what can be saved in its place, and keeps the damaged one
  mcp-scheduler sweep --once      enqueue the wake-ups that a storage account misses and deliver what is overdue, as the
                                  service does each minute; for a timer outside the service
  mcp-scheduler doctor [--url URL] [--endpoint URL] [--json]
                                  say what works and what does not: the service at this address, or its store if nothing
                                  runs; and whether a delivery can connect to this endpoint
  mcp-scheduler cost --per-month NUMBER [--avg-seconds SECONDS] [--json]
                                  estimate what so many conversations cost on Azure; SECONDS is how long their endpoints
                                  take to respond on average, 0.1 if it is left out
  mcp-scheduler openapi           print the description of the HTTP API (OpenAPI 3.1)
  mcp-scheduler --version
";

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Serve,
    Demo,
    Listen(ListenArguments),
    Client(ClientArguments),
    ClientKeys { name: String, json: bool },
    Export(ExportArguments),
    Import(ImportArguments),
    Verify,
    Repair { replace: bool },
    SweepOnce,
    Doctor(DoctorArguments),
    Cost(CostArguments),
    OpenApi,
    Help,
    Version,
}

/// The arguments name no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownArguments;

impl Command {
    /// Reads the arguments, without the name of the program.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, UnknownArguments> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            [] => Ok(Self::Serve),
            ["demo"] => Ok(Self::Demo),
            ["listen", rest @ ..] => ListenArguments::parse(rest).map(Self::Listen).ok_or(UnknownArguments),
            ["client", "keys", name] => Self::client_keys(name, false),
            ["client", "keys", name, "--json"] => Self::client_keys(name, true),
            ["client", rest @ ..] => ClientArguments::parse(rest).map(Self::Client).ok_or(UnknownArguments),
            ["export", rest @ ..] => ExportArguments::parse(rest).map(Self::Export).ok_or(UnknownArguments),
            ["import", rest @ ..] => ImportArguments::parse(rest).map(Self::Import).ok_or(UnknownArguments),
            ["verify"] => Ok(Self::Verify),
            ["repair"] => Ok(Self::Repair { replace: false }),
            ["repair", "--replace"] => Ok(Self::Repair { replace: true }),
            ["sweep", "--once"] => Ok(Self::SweepOnce),
            ["doctor", rest @ ..] => DoctorArguments::parse(rest).map(Self::Doctor).ok_or(UnknownArguments),
            ["cost", rest @ ..] => CostArguments::parse(rest).map(Self::Cost).ok_or(UnknownArguments),
            ["openapi"] => Ok(Self::OpenApi),
            ["--help" | "-h" | "help"] => Ok(Self::Help),
            ["--version" | "-V"] => Ok(Self::Version),
            _ => Err(UnknownArguments),
        }
    }

    /// A name that begins with a dash is a misplaced option.
    fn client_keys(name: &str, json: bool) -> Result<Self, UnknownArguments> {
        if name.starts_with('-') { Err(UnknownArguments) } else { Ok(Self::ClientKeys { name: name.to_owned(), json }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Command, UnknownArguments> {
        let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
        Command::parse(&arguments)
    }

    #[test]
    fn every_form_names_its_command() {
        assert_eq!(parse(""), Ok(Command::Serve));
        assert_eq!(parse("demo"), Ok(Command::Demo));
        assert_eq!(parse("listen"), Ok(Command::Listen(ListenArguments::default())));
        assert_eq!(parse("export --reveal"), Ok(Command::Export(ExportArguments { reveal: true, url: None })));
        let file = Some("all.jsonl".into());
        assert_eq!(parse("import all.jsonl"), Ok(Command::Import(ImportArguments { file, url: None })));
        assert_eq!(parse("verify"), Ok(Command::Verify));
        assert_eq!(parse("repair"), Ok(Command::Repair { replace: false }));
        assert_eq!(parse("repair --replace"), Ok(Command::Repair { replace: true }));
        assert_eq!(parse("sweep --once"), Ok(Command::SweepOnce));
        assert_eq!(parse("openapi"), Ok(Command::OpenApi));
        assert_eq!(parse("doctor"), Ok(Command::Doctor(DoctorArguments::default())));
        let cost = CostArguments::parse(&["--per-month", "1000"]).unwrap();
        assert_eq!(parse("cost --per-month 1000"), Ok(Command::Cost(cost)));
        let added = ClientArguments::parse(&["add", "anna"]).unwrap();
        assert_eq!(parse("client add anna"), Ok(Command::Client(added)));
        for help in ["--help", "-h", "help"] {
            assert_eq!(parse(help), Ok(Command::Help), "{help}");
        }
        for version in ["--version", "-V"] {
            assert_eq!(parse(version), Ok(Command::Version), "{version}");
        }
    }

    #[test]
    fn the_keys_of_a_client_are_printed_as_text_or_as_json() {
        for (arguments, json) in [("client keys anna", false), ("client keys anna --json", true)] {
            assert_eq!(parse(arguments), Ok(Command::ClientKeys { name: "anna".to_owned(), json }), "{arguments}");
        }
    }

    #[test]
    fn other_arguments_are_unknown() {
        for arguments in [
            "serve",
            "--port 1",
            "-v",
            "--help demo",
            "demo x",
            "listen 8787",
            "client",
            "client add",
            "client remove anna",
            "export file",
            "import a b",
            "verify --repair",
            "repair --force",
            "repair --replace --replace",
            "sweep",
            "sweep --once --once",
            "sweep --twice",
            "openapi json",
            "cost",
            "doctor store",
            "client keys",
            "client keys --json",
            "client keys --json anna",
            "client keys anna --json --json",
        ] {
            assert_eq!(parse(arguments), Err(UnknownArguments), "{arguments}");
        }
        assert_eq!(Command::parse(&[String::new()]), Err(UnknownArguments));
    }

    #[test]
    fn the_help_shows_every_command() {
        let forms = [
            "demo",
            "listen [--port PORT]",
            "client add NAME [--read-only",
            "client list",
            "client rotate NAME",
            "client signatures NAME",
            "client keys NAME [--json]",
            "export [--reveal]",
            "import [FILE]",
            "verify",
            "repair [--replace]",
            "sweep --once",
            "doctor [--url URL]",
            "cost --per-month NUMBER",
            "openapi",
            "--version",
        ];
        for form in ["mcp-scheduler  "].into_iter().chain(forms) {
            assert!(HELP.contains(form), "{form}");
        }
    }
}
