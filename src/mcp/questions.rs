//! What the tools that schedule ask the person: which time zone is meant, and whether a new host is right.

use super::elicitation::{Elicitation, Question, Wanted};
use super::executor::{ID_ARGUMENT, UpdateArguments, parse_id};
use crate::api::{Parsed, Problem, ScheduleRequest, UpdateRequest, is_of_time};
use crate::domain::{ClientId, EndpointHost, Note};
use crate::text::escape_invisible;

/// The longest part of an argument in a question.
const MAX_SHOWN: usize = 64;

impl Elicitation {
    /// The questions about a new conversation. `own_argument` is the argument that is no part of the schedule request.
    ///
    /// # Errors
    /// [`Problem`] if the arguments are not an object, or if an operator has not approved a host.
    pub(super) async fn about_new(
        &self,
        client: &ClientId,
        arguments: &[u8],
        own_argument: &str,
    ) -> Result<Vec<Question>, Problem> {
        let request = UpdateRequest::without(arguments, own_argument, Parsed::default())?.request(None)?;
        self.open(client, request, &[]).await
    }

    /// The questions about a change of a conversation. Nobody is asked for the hosts that it has already.
    ///
    /// # Errors
    /// As [`Self::about_new`], and if there is no such conversation.
    pub(super) async fn about_change(&self, client: &ClientId, arguments: &[u8]) -> Result<Vec<Question>, Problem> {
        let read = Parsed::<UpdateArguments>::from_json(arguments);
        let id = read.and_then(|read| read.validate(UpdateArguments::id)).and_then(|id| parse_id(&id));
        // The tool names all mistakes at once, those in the stored conversation too.
        let Ok(id) = id else { return Ok(Vec::new()) };
        let stored = self.scheduler.get(client, id).await?.whole;
        let request = UpdateRequest::without(arguments, ID_ARGUMENT, Parsed::default())?.request(Some(&stored))?;
        self.open(client, request, &stored.hosts()).await
    }

    /// What is open in a request. Nothing is open in a request that fails whatever the person answers.
    async fn open(
        &self,
        client: &ClientId,
        request: Parsed<ScheduleRequest>,
        known: &[EndpointHost],
    ) -> Result<Vec<Question>, Problem> {
        let policy = self.scheduler.endpoint_policy();
        let zone = time_without_zone(request.value()).map(|time| zone_question(&time));
        let mut hosts = request.value().hosts(policy);
        let errors = request.check(|request| request.validate(self.scheduler.now(), policy)).err().unwrap_or_default();
        if !errors.iter().all(|error| zone.is_some() && is_of_time(&error.pointer)) {
            return Ok(Vec::new());
        }
        hosts.sort();
        hosts.dedup();
        hosts.retain(|host| !known.contains(host));
        let mut unconfirmed = Vec::new();
        for host in hosts {
            if !self.scheduler.check_host(client, &host).await? && !self.confirmations.has(client, &host).await? {
                unconfirmed.push(host);
            }
        }
        let hosts = (!unconfirmed.is_empty()).then(|| host_question(client, unconfirmed));
        Ok(zone.into_iter().chain(hosts).collect())
    }
}

/// The time or the recurrence that is read as UTC because nobody has said a zone.
fn time_without_zone(request: &ScheduleRequest) -> Option<String> {
    let notes = request.notes();
    let time = request.scheduled_time.as_deref().filter(|_| notes.contains(&Note::ReadAsUtc));
    let cron = request.recurrence.as_ref().and_then(|recurrence| recurrence.cron.as_deref());
    let cron = cron.filter(|_| notes.contains(&Note::RecursInUtc)).map(|cron| format!("the recurrence {cron}"));
    time.map(str::to_owned).or(cron).map(|shown| escape_invisible(&shown, MAX_SHOWN).0)
}

fn zone_question(time: &str) -> Question {
    Question {
        name: "timeZone",
        message: format!("Which time zone is {time} in?"),
        wanted: Wanted::Argument {
            name: "timeZone",
            title: "Time zone",
            description: "A name of the IANA database, such as Europe/Berlin or America/New_York.",
        },
        if_declined: "is missing: the person was asked for it and did not say it, so nothing was scheduled or changed. Give \
                  timeZone, such as Europe/Berlin, or write scheduledTime with its UTC offset",
    }
}

fn host_question(client: &ClientId, hosts: Vec<EndpointHost>) -> Question {
    let named = hosts.iter().map(EndpointHost::as_str).collect::<Vec<_>>().join(" and to ");
    Question {
        name: "endpoint",
        message: format!(
            "Send to {named}? Nobody has confirmed this destination for the client {client} yet. If you accept, you are \
             not asked again for 90 days."
        ),
        wanted: Wanted::Consent(hosts),
        if_declined: "was not confirmed: the person was asked and does not want to send there, so nothing was scheduled or \
                  changed. Ask the person where to send",
    }
}
