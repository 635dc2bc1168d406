//! The arguments of `client`.

use clap::{Args, Subcommand};

use super::limits::LimitArguments;
use crate::app::{ClientCommand, NewClient};
use crate::cli::arguments::ServiceArguments;
use crate::domain::{ClientId, EndpointHost, InvalidClientId, RedirectUri, Scope, Scopes, Signatures};

/// Administrate the clients of a service
///
/// The commands call the running service. If nothing runs at the address of the settings, they open its store.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mcp-scheduler client add anna\n  mcp-scheduler client list --json")]
pub(in crate::cli) struct ClientArguments {
    #[command(subcommand)]
    pub(super) action: ClientAction,
}

/// What is done with clients.
#[derive(Debug, Subcommand)]
pub(super) enum ClientAction {
    /// Add a client and print its API key
    #[command(after_help = "Example:\n  mcp-scheduler client add prometheus --scopes metrics:read")]
    Add {
        #[command(flatten)]
        client: Named,
        /// The client can read conversations, and nothing else
        #[arg(long, conflicts_with = "scopes")]
        read_only: bool,
        /// conversations:read, conversations:write and webhooks:read, which a client has if none are named; metrics:read;
        /// operator
        #[arg(long, value_name = "SCOPE,SCOPE", value_parser = scopes_in)]
        scopes: Option<Scopes>,
        /// An address to which a login by the id of the client returns, for programs that cannot register themselves; give
        /// the option again for another one
        #[arg(long = "redirect", value_name = "URI")]
        redirect_uris: Vec<RedirectUri>,
        #[command(flatten)]
        limits: LimitArguments,
    },
    /// List all clients
    #[command(after_help = "Example:\n  mcp-scheduler client list")]
    List(ServiceArguments),
    /// Show a client
    #[command(after_help = "Example:\n  mcp-scheduler client show anna")]
    Show(Named),
    /// Make another API key; the one before it stays valid until `client retire`, or until the next rotation
    #[command(after_help = "Example:\n  mcp-scheduler client rotate anna")]
    Rotate(Named),
    /// End the API key before the newest one
    #[command(after_help = "Example:\n  mcp-scheduler client retire anna")]
    Retire(Named),
    /// Refuse the logins and the tokens of a client
    #[command(after_help = "Example:\n  mcp-scheduler client disable anna")]
    Disable(Named),
    /// Let a client log in again
    #[command(after_help = "Example:\n  mcp-scheduler client enable anna")]
    Enable(Named),
    /// Choose the signatures of a client's deliveries: with its secret (v1), or also with its public key (v1a)
    #[command(after_help = "Example:\n  mcp-scheduler client signatures anna v1,v1a")]
    Signatures {
        #[command(flatten)]
        client: Named,
        /// v1, or v1,v1a
        #[arg(value_parser = signatures_in)]
        signatures: Signatures,
    },
    /// Limit what a client may schedule; what is not named stays as it is
    #[command(after_help = "Example:\n  mcp-scheduler client limit anna --deliveries-per-day 100 --recurrences 5")]
    Limit {
        #[command(flatten)]
        client: Named,
        #[command(flatten)]
        limits: LimitArguments,
    },
    /// Approve a host for a client that may schedule only to approved hosts
    #[command(after_help = "Example:\n  mcp-scheduler client approve anna hooks.example.com")]
    Approve {
        #[command(flatten)]
        client: Named,
        /// The host of an endpoint, without a scheme and a port
        host: EndpointHost,
        /// Take the approval back
        #[arg(long)]
        withdraw: bool,
    },
    /// Print the secrets and the public keys with which receivers verify the deliveries of a client
    ///
    /// It needs the settings of the service and no store.
    #[command(after_help = "Example:\n  mcp-scheduler client keys anna")]
    Keys {
        /// The id of the client
        name: String,
        /// Print the keys as JSON
        #[arg(long)]
        json: bool,
    },
}

// No doc comment: it would be the text of each command that has these arguments.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The id of the client
    name: String,
    #[command(flatten)]
    service: ServiceArguments,
}

impl Named {
    fn id(&self) -> Result<ClientId, String> {
        self.name.parse().map_err(|error: InvalidClientId| format!("the client id {error}"))
    }
}

impl ClientAction {
    /// What is done, and on which service. `None` for the keys, which need no service.
    pub(super) fn command(&self) -> Result<Option<(ClientCommand, &ServiceArguments)>, String> {
        let (client, command) = match self {
            Self::Keys { .. } => return Ok(None),
            Self::List(service) => return Ok(Some((ClientCommand::List, service))),
            Self::Add { client, read_only, scopes, redirect_uris, limits } => {
                let usual = if *read_only { Scope::Read.into() } else { Scopes::all() };
                let (scopes, redirect_uris) = (scopes.unwrap_or(usual), redirect_uris.clone());
                let new = NewClient { scopes, redirect_uris, limits: (*limits).into() };
                (client, ClientCommand::Add(client.id()?, new))
            }
            Self::Show(client) => (client, ClientCommand::Show(client.id()?)),
            Self::Rotate(client) => (client, ClientCommand::Rotate(client.id()?)),
            Self::Retire(client) => (client, ClientCommand::Retire(client.id()?)),
            Self::Disable(client) => (client, ClientCommand::Disable(client.id()?)),
            Self::Enable(client) => (client, ClientCommand::Enable(client.id()?)),
            Self::Limit { client, limits } => (client, ClientCommand::SetLimits(client.id()?, (*limits).into())),
            Self::Approve { client, host, withdraw } => {
                (client, ClientCommand::ApproveHost(client.id()?, host.clone(), !withdraw))
            }
            Self::Signatures { client, signatures } => {
                (client, ClientCommand::SetSignatures(client.id()?, *signatures))
            }
        };
        Ok(Some((command, &client.service)))
    }
}

/// Scopes, separated by commas or spaces.
fn scopes_in(text: &str) -> Result<Scopes, String> {
    let scopes = text.replace(',', " ").parse::<Scopes>().map_err(|error| error.to_string())?;
    if scopes.is_empty() { Err("name at least one scope".to_owned()) } else { Ok(scopes) }
}

/// Names of signatures, separated by commas.
fn signatures_in(text: &str) -> Result<Signatures, &'static str> {
    Signatures::named(&text.split(',').collect::<Vec<_>>()).ok_or("must be v1, or v1,v1a")
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::arguments::Command;
    use crate::cli::arguments::tests::{parse, refused};
    use crate::domain::{BudgetChange, LimitChange, LimitsChange};

    fn command(arguments: &str) -> (ClientCommand, ServiceArguments) {
        let Command::Client(ClientArguments { action }) = parse(&format!("client {arguments}")) else { panic!() };
        let (command, service) = action.command().unwrap().unwrap();
        (command, service.clone())
    }

    #[test]
    fn every_action_names_a_command_and_takes_the_address_and_the_form() {
        let anna = || "anna".parse::<ClientId>().unwrap();
        for (arguments, expected) in [
            ("add anna", ClientCommand::Add(anna(), Scopes::all().into())),
            ("list", ClientCommand::List),
            ("show anna", ClientCommand::Show(anna())),
            ("rotate anna", ClientCommand::Rotate(anna())),
            ("retire anna", ClientCommand::Retire(anna())),
            ("disable anna", ClientCommand::Disable(anna())),
            ("enable anna", ClientCommand::Enable(anna())),
            ("signatures anna v1,v1a", ClientCommand::SetSignatures(anna(), Signatures::default())),
            ("limit anna", ClientCommand::SetLimits(anna(), LimitsChange::default())),
            ("approve anna a.example", ClientCommand::ApproveHost(anna(), "a.example".parse().unwrap(), true)),
            (
                "approve anna a.example --withdraw",
                ClientCommand::ApproveHost(anna(), "a.example".parse().unwrap(), false),
            ),
        ] {
            let (without, _) = command(arguments);
            let (with, service) = command(&format!("{arguments} --json --url https://a.example"));
            assert_eq!((&without, &with), (&expected, &expected));
            assert!(service.json && service.url.as_deref() == Some("https://a.example"), "{arguments}");
        }
    }

    #[test]
    fn a_client_has_the_usual_scopes_unless_others_are_named() {
        for (options, scopes) in [
            ("", Scopes::all()),
            (" --read-only", Scope::Read.into()),
            (" --scopes conversations:read,operator", Scopes::from(Scope::Read).with(Scope::Operator)),
            (" --scopes operator", Scope::Operator.into()),
        ] {
            let (command, _) = command(&format!("add anna{options}"));
            assert_eq!(command, ClientCommand::Add("anna".parse().unwrap(), NewClient::from(scopes)), "{options}");
        }
    }

    #[test]
    fn a_client_can_have_several_addresses_for_logins() {
        let addresses = ["https://claude.ai/api/mcp/auth_callback", "http://localhost:8787/callback"];
        let (command, _) = command(&format!("add anna --redirect {} --redirect {}", addresses[0], addresses[1]));
        let redirect_uris = addresses.map(|address| address.parse().unwrap()).to_vec();
        let new = NewClient { redirect_uris, ..Scopes::all().into() };
        assert_eq!(command, ClientCommand::Add("anna".parse().unwrap(), new));
    }

    #[test]
    fn limits_are_numbers_or_none_and_a_new_client_can_have_them() {
        let budget = BudgetChange { deliveries_per_day: LimitChange::Set(100), ..BudgetChange::default() };
        let thread_budget = BudgetChange { recurrences: LimitChange::Remove, ..BudgetChange::default() };
        let limits = LimitsChange { budget, thread_budget, approved_hosts_only: Some(true) };
        let options = "--deliveries-per-day 100 --thread-recurrences none --approved-hosts-only true";
        let anna = || "anna".parse().unwrap();
        let (changed, _) = command(&format!("limit anna {options}"));
        assert_eq!(changed, ClientCommand::SetLimits(anna(), limits));
        let (added, _) = command(&format!("add anna {options}"));
        assert_eq!(added, ClientCommand::Add(anna(), NewClient { limits, ..Scopes::all().into() }));
    }

    #[test]
    fn other_arguments_are_not_understood() {
        for (arguments, kind) in [
            ("add", ErrorKind::MissingRequiredArgument),
            ("remove anna", ErrorKind::InvalidSubcommand),
            ("list anna", ErrorKind::UnknownArgument),
            ("show --json", ErrorKind::MissingRequiredArgument),
            ("add anna --readonly", ErrorKind::UnknownArgument),
            ("add anna --read-only --read-only", ErrorKind::ArgumentConflict),
            ("add anna --read-only --scopes operator", ErrorKind::ArgumentConflict),
            ("add anna --scopes ,", ErrorKind::ValueValidation),
            ("add anna --scopes admin", ErrorKind::ValueValidation),
            ("add anna --redirect http://a.example", ErrorKind::ValueValidation),
            ("rotate anna --read-only", ErrorKind::UnknownArgument),
            ("signatures anna v1a", ErrorKind::ValueValidation),
            ("limit anna --recurrences -1", ErrorKind::UnknownArgument),
            ("limit anna --recurrences many", ErrorKind::ValueValidation),
            ("limit anna --approved-hosts-only maybe", ErrorKind::InvalidValue),
            ("approve anna", ErrorKind::MissingRequiredArgument),
            ("approve anna https://a.example", ErrorKind::ValueValidation),
            ("signatures anna", ErrorKind::MissingRequiredArgument),
            ("show anna --url a --url b", ErrorKind::ArgumentConflict),
            ("show anna bob", ErrorKind::UnknownArgument),
            ("keys anna --url a", ErrorKind::UnknownArgument),
        ] {
            assert_eq!(refused(&format!("client {arguments}")), kind, "{arguments}");
        }
    }
}
