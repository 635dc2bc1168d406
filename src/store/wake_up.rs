//! Wake-ups, and their form as a queue message.

use serde::Deserialize;

use crate::domain::{ClientId, Conversation, ConversationId};
use crate::json::{StrictObject, text};

/// Tells a worker to look at a conversation now.
///
/// A wake-up has no state of the conversation and is not trusted: the worker that receives it reads the row first. So a
/// lost, late, early, doubled or forged wake-up can cost time or a read, but cannot cause a wrong delivery.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WakeUp {
    /// The owner of the conversation.
    #[serde(deserialize_with = "text::deserialize")]
    pub client: ClientId,
    /// The id of the conversation.
    #[serde(deserialize_with = "text::deserialize")]
    pub id: ConversationId,
    /// The generation of the conversation when the wake-up was enqueued.
    pub generation: u32,
}

/// The message of a wake-up: `{"v":1,"job":{"client":…,"id":…,"generation":…}}`.
///
/// The wake-up is nested, because the Functions host adds the top-level fields of a message to the metadata of the
/// invocation. A field with the name of one of the host's own fields would hide it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    v: u32,
    job: StrictObject<WakeUp>,
}

/// The reason why a message is not a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWakeUp {
    /// A newer version of this program wrote the message.
    #[error("the message has version {0} and this program reads version {version}", version = WakeUp::VERSION)]
    Newer(u32),
    /// The message does not have the form of a wake-up.
    #[error("the message is not a wake-up")]
    Malformed,
}

impl WakeUp {
    /// The wake-up of a conversation in its current generation.
    #[must_use]
    pub fn of(conversation: &Conversation) -> Self {
        Self { client: conversation.client().clone(), id: conversation.id(), generation: conversation.generation() }
    }

    /// The version of the message form.
    pub const VERSION: u32 = 1;

    /// The wake-up as the text of a queue message.
    #[must_use]
    pub fn to_message(&self) -> String {
        let Self { client, id, generation } = self;
        // Client ids and conversation ids contain no character that JSON would escape.
        format!(r#"{{"v":{},"job":{{"client":"{client}","id":"{id}","generation":{generation}}}}}"#, Self::VERSION)
    }

    /// Reads the text of a queue message.
    ///
    /// # Errors
    /// [`InvalidWakeUp`]. It does not quote the text, which may come from anyone with access to the queue.
    pub fn from_message(text: &str) -> Result<Self, InvalidWakeUp> {
        match serde_json::from_str(text) {
            Ok(StrictObject(Message { v: Self::VERSION, job: StrictObject(wake_up) })) => Ok(wake_up),
            _ => Err(newer(text).map_or(InvalidWakeUp::Malformed, InvalidWakeUp::Newer)),
        }
    }
}

/// The version of a message, if it is newer than this program's.
fn newer(text: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let StrictObject(Version { v }) = serde_json::from_str(text).ok()?;
    (v > WakeUp::VERSION).then_some(v)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "01890000-0000-7000-8000-00000000000f";

    fn wake_up() -> WakeUp {
        WakeUp { client: "client-a".parse().unwrap(), id: ID.parse().unwrap(), generation: 1 }
    }

    #[test]
    fn a_message_has_exactly_this_form() {
        let message = format!(r#"{{"v":1,"job":{{"client":"client-a","id":"{ID}","generation":1}}}}"#);
        assert_eq!(wake_up().to_message(), message);
    }

    #[test]
    fn white_space_and_the_order_of_fields_do_not_matter() {
        let message =
            format!("\n{{ \"job\": {{\"generation\":1, \"id\":\"{ID}\",\"client\":\"client-a\"}}, \"v\":1 }} ");
        assert_eq!(WakeUp::from_message(&message), Ok(wake_up()));
    }

    #[test]
    fn a_message_of_any_other_form_is_malformed() {
        let job = |job: &str| format!(r#"{{"v":1,"job":{job}}}"#);
        let outer = |v: &str| wake_up().to_message().replace("\"v\":1", v);
        for message in [
            String::new(),
            "   ".to_owned(),
            "null".to_owned(),
            "[]".to_owned(),
            "<html></html>".to_owned(),
            "\0\u{fffd}\u{1}".to_owned(),
            serde_json::to_string(&wake_up().to_message()).unwrap(),
            format!("{}{{}}", wake_up().to_message()),
            wake_up().to_message().replace("\"v\":1,", ""),
            outer("\"v\":\"1\""),
            outer("\"v\":1.0"),
            outer("\"v\":0"),
            outer("\"v\":-1"),
            outer("\"v\":null"),
            outer("\"v\":1,\"v\":1"),
            outer("\"v\":1,\"extra\":0"),
            format!(r#"[1,{{"client":"client-a","id":"{ID}","generation":1}}]"#),
            job(&format!(r#"["client-a","{ID}",1]"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}"}}"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}","generation":1,"extra":0}}"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}","generation":1,"generation":1}}"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}","generation":1.5}}"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}","generation":"1"}}"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}","generation":-1}}"#)),
            job(&format!(r#"{{"client":"client-a","id":"{ID}","generation":4294967296}}"#)),
            job(&format!(r#"{{"client":"a|m|b","id":"{ID}","generation":1}}"#)),
            job(&format!(r#"{{"client":"\ud800","id":"{ID}","generation":1}}"#)),
            job(r#"{"client":"client-a","id":"","generation":1}"#),
            job(r#"{"client":"client-a","id":5,"generation":1}"#),
            job(r#"{"client":"client-a","id":"x' or '1' eq '1","generation":1}"#),
        ] {
            assert_eq!(WakeUp::from_message(&message), Err(InvalidWakeUp::Malformed), "{message}");
        }
    }

    #[test]
    fn a_message_of_a_newer_version_is_recognised_by_its_version_alone() {
        for message in [r#"{"v":2}"#, r#"{"v":2,"job":{"anything":[1]},"more":null}"#] {
            assert_eq!(WakeUp::from_message(message), Err(InvalidWakeUp::Newer(2)), "{message}");
        }
    }

    #[test]
    fn an_error_does_not_quote_the_message() {
        let error = WakeUp::from_message("canary").unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }

    proptest! {
        #[test]
        fn a_wake_up_is_read_back_from_its_message(client in "[A-Za-z0-9._-]{1,64}", random: [u8; 10], generation: u32) {
            let id = ConversationId::new(crate::domain::Timestamp::from_millis(1_900_000_000_000), &random);
            let wake_up = WakeUp { client: client.parse().unwrap(), id, generation };
            prop_assert_eq!(WakeUp::from_message(&wake_up.to_message()), Ok(wake_up));
        }
    }
}
