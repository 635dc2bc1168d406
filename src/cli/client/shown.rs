//! What the commands print.

use serde_json::{Value, json};

use super::limits;
use crate::app::ClientCommand;
use crate::cli::members::text;

/// The answer for a program. The answer with a key has exactly the two members that a program stores.
pub(super) fn as_json(command: &ClientCommand, answer: &Value) -> String {
    match command {
        ClientCommand::Add(..) | ClientCommand::Rotate(_) => {
            let [id, key] = ["clientId", "apiKey"].map(|name| Value::from(text(answer, name)));
            format!(r#"{{"clientId":{id},"apiKey":{key}}}"#)
        }
        ClientCommand::List => json!({ "clients": answer.get("clients") }).to_string(),
        _ => answer.to_string(),
    }
}

/// The answer for a person.
pub(super) fn as_text(command: &ClientCommand, answer: &Value) -> String {
    let name = text(answer, "clientId");
    match command {
        ClientCommand::Add(..) => {
            format!("{}\n\nThe store keeps only a hash of the key. The key will not be shown again.", with_key(answer))
        }
        ClientCommand::Rotate(_) => format!(
            "{}\n\nThe store keeps only a hash of the key. The key will not be shown again. The key before it stays valid until \
             `client retire {name}`, or until the next rotation.",
            with_key(answer)
        ),
        ClientCommand::List => list(answer),
        ClientCommand::Show(_) => record(answer),
        ClientCommand::Retire(_) => format!("Only the newest key of {name} is valid now."),
        ClientCommand::Disable(_) => {
            format!("{name} is disabled. It gets no token, and within 60 seconds those that it has stop for good.")
        }
        ClientCommand::Enable(_) => format!("{name} is enabled. It can log in with its keys."),
        ClientCommand::SetLimits(..) => limits::changed(answer),
        ClientCommand::ApproveHost(_, host, true) => format!("Within 60 seconds, {name} may schedule to {host}."),
        ClientCommand::ApproveHost(_, host, false) => {
            format!("{host} is not approved for {name}. What is scheduled to it is still delivered.")
        }
        ClientCommand::SetSignatures(..) => {
            format!(
                "Within 60 seconds, the deliveries of {name} have these signatures: {}.",
                names(answer, "signatures")
            )
        }
    }
}

fn with_key(answer: &Value) -> String {
    let (name, key) = (text(answer, "clientId"), text(answer, "apiKey"));
    format!("client id  {name}\napi key    {key}\nscopes     {}", scopes(answer))
}

fn record(client: &Value) -> String {
    let mut lines = vec![
        format!("client id  {}", text(client, "clientId")),
        format!("scopes     {}", scopes(client)),
        format!("signatures {}", names(client, "signatures")),
        format!("state      {}", state(client)),
        format!("api keys   {}", keys(client)),
    ];
    let redirects = names(client, "redirectUris");
    if !redirects.is_empty() {
        lines.push(format!("redirects  {redirects}"));
    }
    lines.extend(limits::shown(client));
    for (label, name) in [("added", "createdTime"), ("rotated", "rotatedTime")] {
        let time = text(client, name);
        if !time.is_empty() {
            lines.push(format!("{label:<10} {time}"));
        }
    }
    lines.join("\n")
}

/// One line for each client.
fn list(answer: &Value) -> String {
    let clients = answer.get("clients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let width = clients.iter().map(|client| text(client, "clientId").len()).max().unwrap_or_default();
    let line = |client| {
        let (name, keys) = (text(client, "clientId"), keys(client));
        let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
        format!("{name:<width$}  {:<8}  {keys:<6}  {}", state(client), scopes(client))
    };
    clients.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn state(client: &Value) -> &'static str {
    match (is_true(client, "isFirst"), is_true(client, "disabled")) {
        (true, _) => "first",
        (false, true) => "disabled",
        (false, false) => "enabled",
    }
}

fn is_true(client: &Value, name: &str) -> bool {
    client.get(name).and_then(Value::as_bool).unwrap_or_default()
}

fn keys(client: &Value) -> u64 {
    client.get("keys").and_then(Value::as_u64).unwrap_or_default()
}

fn scopes(answer: &Value) -> String {
    names(answer, "scopes")
}

/// A member of an answer that is a list of names.
fn names(answer: &Value, member: &str) -> String {
    let names = answer.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scopes;

    #[test]
    fn the_json_of_a_key_has_exactly_two_members() {
        let answer = json!({ "clientId": "anna", "apiKey": "msk_anna_1", "scopes": ["operator"], "later": 1 });
        let id = || "anna".parse().unwrap();
        for command in [ClientCommand::Add(id(), Scopes::all().into()), ClientCommand::Rotate(id())] {
            assert_eq!(as_json(&command, &answer), r#"{"clientId":"anna","apiKey":"msk_anna_1"}"#);
        }
    }

    #[test]
    fn a_list_has_a_line_for_each_client() {
        let client = |id: &str, keys: u32, disabled: bool, is_first: bool| json!({ "clientId": id, "keys": keys, "disabled": disabled, "isFirst": is_first, "scopes": ["conversations:read"] });
        let answer = json!({ "clients": [client("a", 1, true, false), client("longer", 2, false, false), client("z", 1, false, true)] });
        assert_eq!(
            as_text(&ClientCommand::List, &answer),
            "a       disabled  1 key   conversations:read\n\
             longer  enabled   2 keys  conversations:read\n\
             z       first     1 key   conversations:read"
        );
    }
}
