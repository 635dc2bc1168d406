//! The operations of an operator on clients.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::openapi::{Answer, Description, Input, Tag};
use crate::api::{
    AddClientRequest, ApproveHostRequest, ClientKeyResponse, ClientLimitsRequest, ClientResponse,
    ClientSignaturesRequest, ListClientsRequest, ListClientsResponse, ProblemType,
};

const LINKS: &[(&str, &str, &str)] = &[("getClient", "clientId", "$response.body#/clientId")];

const CLIENT: Answer = json(
    "The client.",
    SchemaGenerator::subschema_for::<ClientResponse>,
    r#"{ "clientId": "anna", "scopes": ["conversations:read", "conversations:write"], "signatures": ["v1", "v1a"],
         "approvedHostsOnly": false, "disabled": false, "keys": 1, "isFirst": false, "createdTime": "2030-01-30T10:00:00.000Z" }"#,
);

const KEY: Answer = json(
    "The client and its new API key.",
    SchemaGenerator::subschema_for::<ClientKeyResponse<'_>>,
    r#"{ "clientId": "anna", "apiKey": "msk_anna_…", "scopes": ["conversations:read", "conversations:write"] }"#,
);

/// A request without a body that changes a client.
const CHANGE: Description = Description {
    tag: Tag::Clients,
    summary: "",
    details: "",
    input: Input::Nothing,
    reads_if_match: false,
    answer: CLIENT,
    other_answers: &[],
    problems: &[ProblemType::FirstClient],
    links: &[],
};

pub(in crate::http) static LIST_CLIENTS: Description = Description {
    summary: "List clients",
    details: "Lists all clients in the order of their ids, the first client among them. While more follow, the page has a \
              nextCursor.",
    input: Input::Query(SchemaGenerator::subschema_for::<ListClientsRequest>),
    answer: json(
        "A page of clients.",
        SchemaGenerator::subschema_for::<ListClientsResponse>,
        r#"{ "clients": [{ "clientId": "anna", "scopes": ["conversations:read"], "signatures": ["v1", "v1a"],
                           "approvedHostsOnly": false, "disabled": false, "keys": 2, "isFirst": false, "createdTime": "2030-01-30T10:00:00.000Z",
                           "rotatedTime": "2030-01-31T10:00:00.000Z" }],
             "nextCursor": null }"#,
    ),
    problems: &[],
    ..CHANGE
};

pub(in crate::http) static ADD_CLIENT: Description = Description {
    summary: "Add a client",
    details: "Adds a client and returns its API key. No response shows the key again.",
    input: body(
        SchemaGenerator::subschema_for::<AddClientRequest>,
        &[
            ("usual", r#"{ "clientId": "anna" }"#),
            ("readOnly", r#"{ "clientId": "watcher", "scopes": ["conversations:read"] }"#),
        ],
    ),
    answer: KEY,
    problems: &[ProblemType::ClientExists, ProblemType::FirstClient],
    links: LINKS,
    ..CHANGE
};

pub(in crate::http) static GET_CLIENT: Description = Description {
    summary: "Get a client",
    details: "Returns what is known of a client. Its keys are not known: the store has only their hashes.",
    problems: &[],
    ..CHANGE
};

pub(in crate::http) static ROTATE_CLIENT_KEY: Description = Description {
    summary: "Give a client another API key",
    details: "Makes another API key. The key before it stays valid, so that the client can change over, until retireClientKey \
              or the next rotation. No response shows the key again.",
    answer: KEY,
    ..CHANGE
};

pub(in crate::http) static RETIRE_CLIENT_KEY: Description = Description {
    summary: "End the older API key of a client",
    details: "Only the newest API key of the client stays valid. Tokens that it has stay valid until they expire.",
    ..CHANGE
};

pub(in crate::http) static DISABLE_CLIENT: Description = Description {
    summary: "Disable a client",
    details: "The client gets no token any more, and within 60 seconds the tokens that it has stop for good. What it has \
              scheduled is still delivered.",
    ..CHANGE
};

pub(in crate::http) static ENABLE_CLIENT: Description = Description {
    summary: "Enable a client",
    details: "The client can log in with its keys again. In other processes this can take 60 seconds.",
    ..CHANGE
};

pub(in crate::http) static SET_CLIENT_SIGNATURES: Description = Description {
    summary: "Choose the signatures of a client",
    details: "The deliveries of the client carry these kinds of signature from now on, within a minute. With v1 alone, a \
              receiver needs the secret of the client, and a delivery takes about 40 µs less.",
    input: body(
        SchemaGenerator::subschema_for::<ClientSignaturesRequest>,
        &[("secretOnly", r#"{ "signatures": ["v1"] }"#), ("publicKeyToo", r#"{ "signatures": ["v1", "v1a"] }"#)],
    ),
    ..CHANGE
};

pub(in crate::http) static SET_CLIENT_LIMITS: Description = Description {
    summary: "Limit a client",
    details: "Sets budgets of the client and of each of its threads, and whether it may schedule only to approved hosts. What \
              is left out stays as it is, and null removes a limit. It holds within a minute for what is scheduled from then \
              on; what was scheduled before is delivered.",
    input: body(
        SchemaGenerator::subschema_for::<ClientLimitsRequest>,
        &[
            ("budget", r#"{ "budget": { "deliveriesPerDay": 100, "liveConversations": 50, "recurrences": 5 } }"#),
            ("removed", r#"{ "budget": { "recurrences": null }, "threadBudget": { "liveConversations": 3 } }"#),
            ("approval", r#"{ "approvedHostsOnly": true }"#),
        ],
    ),
    ..CHANGE
};

pub(in crate::http) static APPROVE_CLIENT_HOST: Description = Description {
    summary: "Approve a host for a client",
    details: "A client with approvedHostsOnly may schedule to this host, within a minute. With approved false, the approval is \
              taken back.",
    input: body(
        SchemaGenerator::subschema_for::<ApproveHostRequest>,
        &[
            ("approve", r#"{ "host": "hooks.example.com" }"#),
            ("takeBack", r#"{ "host": "hooks.example.com", "approved": false }"#),
        ],
    ),
    ..CHANGE
};
