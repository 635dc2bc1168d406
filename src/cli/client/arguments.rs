//! The arguments of `client`.

use crate::domain::{RedirectUri, Scope, Scopes, Signatures};

/// What a command does with clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum ClientAction {
    Add,
    List,
    Show,
    Rotate,
    Retire,
    Disable,
    Enable,
    Signatures,
}

impl ClientAction {
    const ALL: [(&'static str, Self); 8] = [
        ("add", Self::Add),
        ("list", Self::List),
        ("show", Self::Show),
        ("rotate", Self::Rotate),
        ("retire", Self::Retire),
        ("disable", Self::Disable),
        ("enable", Self::Enable),
        ("signatures", Self::Signatures),
    ];
}

/// The arguments behind `client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ClientArguments {
    pub(in crate::cli) action: ClientAction,
    /// The client, as the operator wrote it. Empty for a list.
    pub(in crate::cli) name: String,
    /// The scopes of a client that is added.
    pub(in crate::cli) scopes: Scopes,
    /// The addresses to which logins by the id of a client that is added return the browser.
    pub(in crate::cli) redirect_uris: Vec<RedirectUri>,
    /// The signatures of a client whose signatures are changed.
    pub(in crate::cli) signatures: Signatures,
    /// The address of the service, if the operator names it.
    pub(in crate::cli) url: Option<String>,
    /// Whether the answer is printed as JSON.
    pub(in crate::cli) json: bool,
}

impl ClientArguments {
    /// Reads the arguments. `None` if they are not understood.
    pub(in crate::cli) fn parse(arguments: &[&str]) -> Option<Self> {
        let (action, rest) = arguments.split_first()?;
        let (_, action) = ClientAction::ALL.into_iter().find(|(name, _)| name == action)?;
        let (name, mut options) = match rest.split_first() {
            _ if action == ClientAction::List => ("", rest.iter()),
            // A name that begins with a dash is a misplaced option: no client gets that name by accident.
            Some((name, options)) if !name.starts_with('-') => (*name, options.iter()),
            _ => return None,
        };
        let signatures = match action {
            ClientAction::Signatures => signatures_in(options.next()?)?,
            _ => Signatures::default(),
        };
        let (mut scopes, mut redirect_uris, mut url, mut json) = (None, Vec::new(), None, false);
        while let Some(option) = options.next() {
            let is_repeated = match *option {
                "--read-only" if action == ClientAction::Add => scopes.replace(Scope::Read.into()).is_some(),
                "--scopes" if action == ClientAction::Add => scopes.replace(scopes_in(options.next()?)?).is_some(),
                "--redirect" if action == ClientAction::Add => {
                    redirect_uris.push(options.next()?.parse().ok()?);
                    false
                }
                "--url" => url.replace((*options.next()?).to_owned()).is_some(),
                "--json" => std::mem::replace(&mut json, true),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        let scopes = scopes.unwrap_or(Scopes::all());
        Some(Self { action, name: name.to_owned(), scopes, redirect_uris, signatures, url, json })
    }
}

/// Scopes, separated by commas or spaces.
fn scopes_in(text: &str) -> Option<Scopes> {
    let scopes: Scopes = text.replace(',', " ").parse().ok()?;
    (!scopes.is_empty()).then_some(scopes)
}

/// Names of signatures, separated by commas.
fn signatures_in(text: &str) -> Option<Signatures> {
    Signatures::named(&text.split(',').collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Option<ClientArguments> {
        ClientArguments::parse(&arguments.split(' ').collect::<Vec<_>>())
    }

    fn anna(action: ClientAction) -> ClientArguments {
        ClientArguments {
            action,
            name: "anna".to_owned(),
            scopes: Scopes::all(),
            redirect_uris: Vec::new(),
            signatures: Signatures::default(),
            url: None,
            json: false,
        }
    }

    #[test]
    fn every_action_has_a_name_and_takes_the_address_and_the_form() {
        for (name, action) in ClientAction::ALL {
            let expected = if action == ClientAction::List {
                ClientArguments { name: String::new(), ..anna(action) }
            } else {
                anna(action)
            };
            let command = match action {
                ClientAction::List => name.to_owned(),
                ClientAction::Signatures => format!("{name} anna v1,v1a"),
                _ => format!("{name} anna"),
            };
            assert_eq!(parse(&command), Some(expected.clone()));
            let url = Some("https://a.example".to_owned());
            let all = Some(ClientArguments { url, json: true, ..expected });
            assert_eq!(parse(&format!("{command} --json --url https://a.example")), all);
            assert_eq!(parse(&format!("{command} --url https://a.example --json")), all);
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
            let command = format!("add anna{options}");
            assert_eq!(parse(&command), Some(ClientArguments { scopes, ..anna(ClientAction::Add) }), "{command}");
        }
        assert!(ClientArguments::parse(&["add", ""]).is_some(), "the client id is checked later");
    }

    #[test]
    fn other_arguments_are_not_understood() {
        for arguments in [
            "",
            "add",
            "remove anna",
            "list anna",
            "show",
            "show --json",
            "add --read-only",
            "add --read-only anna",
            "add anna --readonly",
            "add anna --read-only --read-only",
            "add anna --read-only --scopes operator",
            "add anna --scopes",
            "add anna --scopes ,",
            "add anna --scopes admin",
            "rotate anna --read-only",
            "signatures anna",
            "signatures anna v1a",
            "signatures anna v1 v1",
            "rotate anna v1",
            "show anna --json --json",
            "show anna --url",
            "show anna --url a --url b",
            "show anna bob",
        ] {
            assert_eq!(parse(arguments), None, "{arguments}");
        }
    }
}
