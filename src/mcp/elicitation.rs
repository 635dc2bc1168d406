//! Questions to the person before a tool runs. What a tool asks is a property of the tool.
//!
//! Only a program that declares elicitation is asked. The result of the call is then `input_required` (SEP-2322), and the
//! program repeats the call with the answers. Nothing is kept meanwhile: the same questions are found again in the same
//! arguments, and the sealed `requestState` proves that they were asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, PrimitiveSchemaDefinition, StringSchema,
};
use rmcp::service::RequestContext;
use serde::Deserialize as _;
use serde_json::Value;

use super::message::ToolCall;
use super::speaks_2026_07_28;
use crate::api::{ErrorDetail, Problem};
use crate::auth::Principal;
use crate::domain::{ClientId, EndpointHost};
use crate::json::members;
use crate::login::Confirmations;
use crate::scheduler::Scheduler;

/// The function that finds the open questions of a call. It takes the client, and the arguments as the caller wrote them.
pub(super) type QuestionsFunction =
    for<'a> fn(&'a Elicitation, &'a ClientId, &'a [u8]) -> BoxFuture<'a, Result<Vec<Question>, Problem>>;

/// Asks persons.
#[derive(Clone)]
pub(super) struct Elicitation {
    pub(super) scheduler: Scheduler,
    pub(super) confirmations: Arc<Confirmations>,
}

/// A question to the person.
pub(super) struct Question {
    /// The name of the question and of its answer.
    pub(super) name: &'static str,
    /// The question as the person reads it.
    pub(super) message: String,
    /// What the person gives.
    pub(super) wanted: Wanted,
    /// The error if the person does not accept. It begins with the verb, because the name of the question stands before it.
    pub(super) if_declined: &'static str,
}

/// What the person gives to accept.
pub(super) enum Wanted {
    /// A text, which becomes an argument of the call.
    Argument {
        /// The name of the argument, and of the field of the form.
        name: &'static str,
        /// The label of the field.
        title: &'static str,
        description: &'static str,
    },
    /// Nothing but that the person accepts. These hosts are then confirmed for the client.
    Consent(Vec<EndpointHost>),
}

/// What follows a call.
pub(super) enum Next {
    /// The tool runs with these arguments.
    Run(Arc<str>),
    /// The person is asked.
    Ask(Box<InputRequiredResult>),
    /// The call is an error of the program, because this service did not make its `requestState`.
    InvalidState,
}

/// The arguments that the person has given, by name.
type Given = Vec<(&'static str, String)>;

/// Whether the program shows forms to its user, and knows how to repeat the call.
pub(super) fn is_offered(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    // Without any mode, the capability means forms.
    let has_forms = elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
    has_forms && speaks_2026_07_28(context)
}

impl Elicitation {
    pub(super) fn new(scheduler: Scheduler, confirmations: Confirmations) -> Self {
        Self { scheduler, confirmations: Arc::new(confirmations) }
    }

    /// Asks what is open, or takes the answers.
    ///
    /// # Errors
    /// [`Problem`] if the person has declined, or if the tool finds that the call cannot succeed.
    pub(super) async fn before(
        &self,
        principal: &Principal,
        call: &ToolCall,
        request: &CallToolRequestParams,
    ) -> Result<Next, Problem> {
        let (client, tool) = (principal.client(), call.tool.name);
        let questions = match call.tool.tool.questions {
            Some(find) => find(self, client, call.arguments.as_bytes()).await?,
            None => Vec::new(),
        };
        if questions.is_empty() {
            return Ok(Next::Run(Arc::clone(&call.arguments)));
        }
        let asked = match &request.request_state {
            Some(state) => self.confirmations.asked(client, tool, state),
            None => Some(Vec::new()),
        };
        let Some(asked) = asked else { return Ok(Next::InvalidState) };
        let Some(given) = accepted(&questions, &asked, request)? else {
            let messages = questions.iter().map(|question| question.message.clone());
            let state = self.confirmations.ask(client, tool, messages.collect());
            let forms = questions.into_iter().map(|question| (question.name.to_owned(), question.form()));
            return Ok(Next::Ask(Box::new(InputRequiredResult::new(Some(forms.collect()), Some(state)))));
        };
        for question in &questions {
            if let Wanted::Consent(hosts) = &question.wanted {
                for host in hosts {
                    self.confirmations.add(client, host).await?;
                }
            }
        }
        let arguments =
            if given.is_empty() { Arc::clone(&call.arguments) } else { with_arguments(&call.arguments, &given).into() };
        Ok(Next::Run(arguments))
    }
}

impl Question {
    fn form(self) -> InputRequest {
        let requested_schema = match self.wanted {
            Wanted::Argument { name, title, description } => {
                let field = StringSchema::new().title(title).description(description).min_length(1);
                let fields = [(name.to_owned(), PrimitiveSchemaDefinition::String(field))];
                ElicitationSchema::new(fields.into()).with_required(vec![name.to_owned()])
            }
            Wanted::Consent(_) => ElicitationSchema::new(BTreeMap::new()),
        };
        let message = self.message;
        let params = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
        InputRequest::Elicitation(ElicitRequest::new(params))
    }

    fn not_accepted(&self) -> ErrorDetail {
        ErrorDetail { pointer: format!("/{}", self.name), detail: self.if_declined.to_owned() }
    }
}

/// The answers in a request. `None` if one is missing, or is the answer to another question than one that was asked.
///
/// # Errors
/// [`Problem`] if the person has declined.
fn accepted(
    questions: &[Question],
    asked: &[String],
    request: &CallToolRequestParams,
) -> Result<Option<Given>, Problem> {
    let (mut given, mut has_all, mut declined) = (Given::new(), true, Vec::new());
    for question in questions {
        let answer = request.input_responses.as_ref().and_then(|answers| answers.get(question.name));
        let answer = answer.filter(|_| asked.contains(&question.message));
        match (answer.and_then(|json| ElicitResult::deserialize(json).ok()), &question.wanted) {
            (Some(ElicitResult { action: ElicitationAction::Accept, content, .. }), Wanted::Argument { name, .. }) => {
                let text = content.as_ref().and_then(|content| content.get(name)?.as_str()).map(str::trim);
                let text = text.filter(|text| !text.is_empty());
                has_all &= text.is_some();
                given.extend(text.map(|text| (*name, text.to_owned())));
            }
            (Some(ElicitResult { action: ElicitationAction::Accept, .. }), Wanted::Consent(_)) => {}
            (Some(_), _) => declined.push(question.not_accepted()),
            (None, _) => has_all = false,
        }
    }
    if declined.is_empty() { Ok(has_all.then_some(given)) } else { Err(Problem::invalid(declined)) }
}

/// The arguments as if the caller had given these too.
fn with_arguments(arguments: &str, given: &[(&str, String)]) -> String {
    let (members, _) = members::read(arguments.as_bytes());
    let is_given = |name: &str| given.iter().any(|(other, _)| *other == name);
    let others = members.iter().filter(|member| !is_given(&member.name));
    let others = others.map(|member| (member.name.as_str(), member.text().to_owned()));
    let given = given.iter().map(|(name, text)| (*name, Value::from(text.as_str()).to_string()));
    members::write(others.chain(given))
}
