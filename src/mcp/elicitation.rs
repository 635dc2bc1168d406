//! Questions to the person, before a tool schedules something: which time zone is meant, and whether a new host is right.
//!
//! Only a program that declares elicitation is asked. The result of the call is then `input_required` (SEP-2322), and the
//! program repeats the call with the answers. Nothing is kept meanwhile: the same questions are found again in the same
//! arguments, and the sealed `requestState` proves that they were asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, PrimitiveSchemaDefinition, StringSchema,
};
use rmcp::service::RequestContext;
use serde::Deserialize as _;
use serde_json::Value;

use super::executor::{ID_ARGUMENT, KEY_ARGUMENT, UpdateArguments, parse_id};
use super::message::ToolCall;
use super::named::NAME_ARGUMENT;
use super::speaks_2026_07_28;
use crate::api::{ErrorDetail, Parsed, Problem, ScheduleRequest, UpdateRequest, is_of_time};
use crate::auth::Principal;
use crate::domain::{ClientId, EndpointHost, Note};
use crate::json::members;
use crate::login::Confirmations;
use crate::scheduler::Scheduler;
use crate::text::escape_invisible;

/// The question about the time zone. The argument and the field of the form have the same name.
const ZONE: &str = "timeZone";
/// The question about the hosts.
const HOST: &str = "endpoint";
/// The longest part of an argument in a question.
const MAX_SHOWN: usize = 64;

/// Asks persons.
#[derive(Clone)]
pub(super) struct Elicitation {
    confirmations: Arc<Confirmations>,
}

/// What follows a call.
pub(super) enum Next {
    /// The tool runs with these arguments.
    Run(Arc<str>),
    /// The person is asked.
    Ask(Box<InputRequiredResult>),
}

/// What only a person can say about a call.
#[derive(Default)]
struct Open {
    /// The time that has no zone, as the question names it.
    zone_of: Option<String>,
    /// The hosts that nobody has confirmed.
    hosts: Vec<EndpointHost>,
}

/// The questions of a call, by name.
type Questions = BTreeMap<&'static str, String>;

/// The person has accepted all questions.
struct Accepted {
    /// The time zone, if it was a question.
    zone: Option<String>,
}

/// Whether the program shows forms to its user, and knows how to repeat the call.
pub(super) fn is_offered(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    // Without any mode, the capability means forms.
    let has_forms = elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
    has_forms && speaks_2026_07_28(context)
}

impl Elicitation {
    pub(super) fn new(confirmations: Confirmations) -> Self {
        Self { confirmations: Arc::new(confirmations) }
    }

    /// Asks what is open, or takes the answers.
    ///
    /// # Errors
    /// [`Problem`] if the person has declined, if an operator has not approved a host, or if there is no such conversation.
    pub(super) async fn before(
        &self,
        scheduler: &Scheduler,
        principal: &Principal,
        call: &ToolCall,
        request: &CallToolRequestParams,
    ) -> Result<Next, Problem> {
        let (client, tool) = (principal.client(), call.tool.name);
        let open = self.open(scheduler, client, call).await?;
        let questions = open.questions(client);
        if questions.is_empty() {
            return Ok(Next::Run(Arc::clone(&call.arguments)));
        }
        let state = request.request_state.as_deref().unwrap_or_default();
        let asked = self.confirmations.asked(client, tool, state);
        let Some(Accepted { zone }) = accepted(&questions, &asked, request)? else {
            let state = self.confirmations.ask(client, tool, questions.values().cloned().collect());
            let forms = questions.into_iter().map(|(name, message)| (name.to_owned(), form(name, message)));
            return Ok(Next::Ask(Box::new(InputRequiredResult::new(Some(forms.collect()), Some(state)))));
        };
        for host in &open.hosts {
            self.confirmations.add(client, host).await?;
        }
        let arguments = zone.map(|zone| with_zone(&call.arguments, &zone).into());
        Ok(Next::Run(arguments.unwrap_or_else(|| Arc::clone(&call.arguments))))
    }

    /// What is open in a call. Nothing is open in a call that fails whatever the person answers.
    async fn open(&self, scheduler: &Scheduler, client: &ClientId, call: &ToolCall) -> Result<Open, Problem> {
        let Some((request, known)) = read(scheduler, client, call).await? else { return Ok(Open::default()) };
        let zone_of = time_without_zone(request.value());
        let mut hosts = request.value().hosts(scheduler.endpoint_policy());
        let validate = |request: ScheduleRequest| request.validate(scheduler.now(), scheduler.endpoint_policy());
        let errors = request.check(validate).err().unwrap_or_default();
        if !errors.iter().all(|error| zone_of.is_some() && is_of_time(&error.pointer)) {
            return Ok(Open::default());
        }
        hosts.sort();
        hosts.dedup();
        hosts.retain(|host| !known.contains(host));
        let mut open = Open { zone_of, hosts: Vec::new() };
        for host in hosts {
            if !scheduler.check_host(client, &host).await? && !self.confirmations.has(client, &host).await? {
                open.hosts.push(host);
            }
        }
        Ok(open)
    }
}

/// The schedule request of a call, and the hosts to which the conversation is sent already. `None` if it is another tool, or
/// an update with wrong arguments.
async fn read(
    scheduler: &Scheduler,
    client: &ClientId,
    call: &ToolCall,
) -> Result<Option<(Parsed<ScheduleRequest>, Vec<EndpointHost>)>, Problem> {
    let arguments = call.arguments.as_bytes();
    let (own_argument, stored) = match call.tool.name {
        "scheduleConversation" => (KEY_ARGUMENT, None),
        "scheduleNamedConversation" => (NAME_ARGUMENT, None),
        "updateConversation" => {
            let read = Parsed::<UpdateArguments>::from_json(arguments);
            let id = read.and_then(|read| read.validate(UpdateArguments::id)).and_then(|id| parse_id(&id));
            // The tool names all mistakes at once, those in the stored conversation too.
            let Ok(id) = id else { return Ok(None) };
            (ID_ARGUMENT, Some(scheduler.get(client, id).await?.whole))
        }
        _ => return Ok(None),
    };
    let request = UpdateRequest::without(arguments, own_argument, Parsed::default())?.request(stored.as_ref())?;
    Ok(Some((request, stored.map(|whole| whole.hosts()).unwrap_or_default())))
}

/// The time or the recurrence that is read as UTC because nobody has said a zone.
fn time_without_zone(request: &ScheduleRequest) -> Option<String> {
    let notes = request.notes();
    let time = request.scheduled_time.as_deref().filter(|_| notes.contains(&Note::ReadAsUtc));
    let cron = request.recurrence.as_ref().and_then(|recurrence| recurrence.cron.as_deref());
    let cron = cron.filter(|_| notes.contains(&Note::RecursInUtc)).map(|cron| format!("the recurrence {cron}"));
    time.map(str::to_owned).or(cron).map(|shown| escape_invisible(&shown, MAX_SHOWN).0)
}

impl Open {
    fn questions(&self, client: &ClientId) -> Questions {
        let zone = self.zone_of.as_ref().map(|time| (ZONE, format!("Which time zone is {time} in?")));
        let hosts = self.hosts.iter().map(EndpointHost::as_str).collect::<Vec<_>>().join(" and to ");
        let host = (!hosts.is_empty()).then(|| {
            let question = format!(
                "Send to {hosts}? Nobody has confirmed this destination for the client {client} yet. If you accept, you \
                 are not asked again for 90 days."
            );
            (HOST, question)
        });
        zone.into_iter().chain(host).collect()
    }
}

/// The answers in a request. `None` if one is missing, or is the answer to another question than one that was asked.
///
/// # Errors
/// [`Problem`] if the person has declined.
fn accepted(
    questions: &Questions,
    asked: &[String],
    request: &CallToolRequestParams,
) -> Result<Option<Accepted>, Problem> {
    let (mut zone, mut has_all, mut declined) = (None, true, Vec::new());
    for (name, message) in questions {
        let answer = request.input_responses.as_ref().and_then(|answers| answers.get(*name));
        let answer = answer.filter(|_| asked.contains(message)).and_then(|json| ElicitResult::deserialize(json).ok());
        match answer {
            Some(ElicitResult { action: ElicitationAction::Accept, content, .. }) if *name == ZONE => {
                let given = content.as_ref().and_then(|content| content.get(ZONE)?.as_str());
                zone = given.map(|zone| zone.trim().to_owned()).filter(|zone| !zone.is_empty());
                has_all &= zone.is_some();
            }
            Some(ElicitResult { action: ElicitationAction::Accept, .. }) => {}
            Some(_) => declined.push(not_accepted(name)),
            None => has_all = false,
        }
    }
    if declined.is_empty() { Ok(has_all.then_some(Accepted { zone })) } else { Err(Problem::invalid(declined)) }
}

fn not_accepted(question: &str) -> ErrorDetail {
    let detail = if question == ZONE {
        "is missing: the person was asked for it and did not say it, so nothing was scheduled or changed. Give timeZone, \
         such as Europe/Berlin, or write scheduledTime with its UTC offset"
    } else {
        "was not confirmed: the person was asked and does not want to send there, so nothing was scheduled or changed. Ask \
         the person where to send"
    };
    ErrorDetail { pointer: format!("/{question}"), detail: detail.to_owned() }
}

fn form(question: &str, message: String) -> InputRequest {
    let requested_schema = if question == ZONE {
        let zone = StringSchema::new().title("Time zone").min_length(1);
        let zone = zone.description("A name of the IANA database, such as Europe/Berlin or America/New_York.");
        let fields = [(ZONE.to_owned(), PrimitiveSchemaDefinition::String(zone))];
        ElicitationSchema::new(fields.into()).with_required(vec![ZONE.to_owned()])
    } else {
        // To accept is to confirm, so there is nothing to fill in.
        ElicitationSchema::new(BTreeMap::new())
    };
    let params = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
    InputRequest::Elicitation(ElicitRequest::new(params))
}

/// The arguments as if the caller had given the time zone.
fn with_zone(arguments: &str, zone: &str) -> String {
    let (members, _) = members::read(arguments.as_bytes());
    let zone = Value::from(zone).to_string();
    let others =
        members.iter().filter(|member| member.name != ZONE).map(|member| (member.name.as_str(), member.text()));
    members::write(others.chain([(ZONE, zone.as_str())]))
}
