//! The values of the placeholders.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::domain::{ConversationId, ConversationName, Timestamp};

/// The values of the placeholders in one delivery.
#[derive(Clone, Debug)]
pub struct TemplateValues<'a> {
    /// The text.
    pub conversation_text: &'a str,
    /// The conversation's id.
    pub conversation_id: Cow<'a, str>,
    /// The due time.
    pub scheduled_time: Timestamp,
    /// The number of the occurrence. It is 1 for a conversation that does not recur.
    pub occurrence: u32,
    /// The name; empty without one.
    pub name: &'a str,
    /// The caller's own JSON.
    pub additional_info: Option<&'a str>,
}

/// A name of the greatest length.
const LONGEST_NAME: &str = match std::str::from_utf8(&[b'n'; ConversationName::MAX]) {
    Ok(name) => name,
    Err(_) => "",
};

const ADDITIONAL_INFO: &str = "additionalInfo";

impl<'a> TemplateValues<'a> {
    /// The placeholders, as errors and documents name them.
    pub const PLACEHOLDERS: &'static str = "{{conversationText}}, {{conversationId}}, {{scheduledTime}}, \
                                            {{occurrence}}, {{name}}, {{additionalInfo.x.y}}";

    /// Values that are as long as those of any delivery of a conversation with this text and JSON.
    #[must_use]
    pub const fn longest(conversation_text: &'a str, additional_info: Option<&'a str>) -> Self {
        Self {
            conversation_text,
            conversation_id: Cow::Borrowed("00000000-0000-0000-0000-000000000000"),
            scheduled_time: Timestamp::MAX,
            occurrence: u32::MAX,
            name: LONGEST_NAME,
            additional_info,
        }
    }

    /// The same for the delivery of this conversation.
    #[must_use]
    pub fn of_conversation(
        self,
        id: ConversationId,
        due: Timestamp,
        occurrence: u32,
        name: Option<&'a ConversationName>,
    ) -> Self {
        let name = name.map(ConversationName::as_str).unwrap_or_default();
        Self { conversation_id: id.to_string().into(), scheduled_time: due, occurrence, name, ..self }
    }

    /// The value of a placeholder.
    pub(super) fn get(&self, name: &str) -> Result<Cow<'_, str>, String> {
        Ok(match name {
            "conversationText" => self.conversation_text.into(),
            "conversationId" => (*self.conversation_id).into(),
            "scheduledTime" => self.scheduled_time.to_string().into(),
            "name" => self.name.into(),
            "occurrence" => self.occurrence.to_string().into(),
            _ => match name.strip_prefix(ADDITIONAL_INFO).map(|rest| rest.strip_prefix('.')) {
                Some(Some(path)) => self.info(path)?.into(),
                _ => return Err(unknown(name)),
            },
        })
    }

    /// A value in the additional info: a string without its quotation marks, or the JSON text of any other value.
    fn info(&self, path: &str) -> Result<String, String> {
        let mut json = self.additional_info.unwrap_or("{}");
        for step in path.split('.') {
            json = inside(json, step).ok_or_else(|| {
                format!("has {{{{{ADDITIONAL_INFO}.{}}}}}, but the additionalInfo has no such value", shown(path))
            })?;
        }
        Ok(serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()))
    }
}

/// The member of an object, or the item of an array by its number from 0.
fn inside<'j>(json: &'j str, step: &str) -> Option<&'j str> {
    let value = match json.trim_ascii_start().bytes().next() {
        Some(b'{') => serde_json::from_str::<HashMap<String, &RawValue>>(json).ok()?.remove(step),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(json).ok()?.get(step.parse::<usize>().ok()?).copied(),
        _ => None,
    };
    value.map(RawValue::get)
}

fn unknown(name: &str) -> String {
    format!(
        "has the unknown placeholder {{{{{}}}}}; the placeholders are {}; write {{{{{{{{ for two braces of your own",
        shown(name),
        TemplateValues::PLACEHOLDERS
    )
}

/// The beginning of a name: the rest of a long one helps nobody.
fn shown(name: &str) -> String {
    const MAX: usize = 30;
    name.chars().take(MAX).collect()
}
