//! The part of a main row that says how the conversation was scheduled.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::{Call, Program, ScheduledBy, TraceContext};

/// The request, without its trace, which has been in rows for longer.
#[derive(Serialize, Deserialize)]
pub(super) struct ByRow<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<Cow<'a, str>>,
}

impl<'a> ByRow<'a> {
    /// What a row has of it, if there is anything.
    pub(super) fn of(by: &'a ScheduledBy) -> Option<Self> {
        let (operation, tool) = match &by.call {
            Some(Call::Operation(name)) => (Some(&**name), None),
            Some(Call::Tool(name)) => (None, Some(&**name)),
            None => (None, None),
        };
        let program = by.program.as_ref().map(|program| program.as_str().into());
        let row = Self { operation: operation.map(Cow::from), tool: tool.map(Cow::from), program };
        (row.operation.is_some() || row.tool.is_some() || row.program.is_some()).then_some(row)
    }
}

/// What a row says of the request.
pub(super) fn scheduled_by(row: Option<ByRow<'_>>, trace: Option<TraceContext>) -> ScheduledBy {
    let Some(ByRow { operation, tool, program }) = row else { return ScheduledBy { trace, ..ScheduledBy::default() } };
    let owned = |name: Cow<'_, str>| Cow::Owned(name.into_owned());
    let call = tool.map(|name| Call::Tool(owned(name))).or(operation.map(|name| Call::Operation(owned(name))));
    ScheduledBy { call, program: program.map(|id| Program::of_id(&id)), trace }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_written_and_read_in_this_form() {
        let program = || Some(Program::of_id("https://claude.ai/oauth/x"));
        for (call, program, row) in [
            (Some(Call::Operation("scheduleBatch".into())), None, r#"{"operation":"scheduleBatch"}"#),
            (
                Some(Call::Tool("scheduleConversation".into())),
                program(),
                r#"{"tool":"scheduleConversation","program":"https://claude.ai/oauth/x"}"#,
            ),
            (None, program(), r#"{"program":"https://claude.ai/oauth/x"}"#),
        ] {
            let by = ScheduledBy { call, program, trace: None };
            assert_eq!(serde_json::to_string(&ByRow::of(&by).unwrap()).unwrap(), row);
            assert_eq!(scheduled_by(serde_json::from_str(row).unwrap(), None), by);
        }
        assert!(ByRow::of(&ScheduledBy::default()).is_none(), "the row stays as it was");
        assert_eq!(scheduled_by(None, None), ScheduledBy::default());
    }
}
