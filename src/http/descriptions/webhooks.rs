//! What receivers verify deliveries with.

use schemars::SchemaGenerator;

use super::json;
use crate::api::openapi::{Description, Input, Tag};
use crate::api::{SigningKeysResponse, WebhookKeysRequest, WebhookKeysResponse};

pub(in crate::http) static GET_SIGNING_KEYS: Description = Description {
    tag: Tag::Webhooks,
    summary: "Get the secrets that verify deliveries",
    details: "The secrets and the public keys with which the receivers of this client verify its deliveries. No other client has \
              them. It is no tool for language models, because the answer has secrets.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: json(
        "The secrets and the public keys.",
        SchemaGenerator::subschema_for::<SigningKeysResponse<'_>>,
        r#"{ "clientId": "local", "secrets": ["whsec_AyM0Xq+HLHEEnovdPDFYxxjGhWh8YSDqe86dZVvaa7k="],
             "publicKeys": [{ "kid": "NBpAik9gFex-NJfKdgSW2xbMeL_QOagvRPmcbNzZg20", "kty": "OKP", "crv": "Ed25519",
               "x": "iVrYE8YaYQIElJRLbqpod1G_2Tm03oOgB2hO10ci6Vk", "use": "sig", "alg": "EdDSA",
               "whpk": "whpk_iVrYE8YaYQIElJRLbqpod1G/2Tm03oOgB2hO10ci6Vk=" }],
             "publicKeysUrl": "https://scheduler.example.com/.well-known/webhook-keys.json?client=local" }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static WEBHOOK_KEYS: Description = Description {
    tag: Tag::Webhooks,
    summary: "Get the public keys that verify deliveries",
    details: "The ed25519 keys with which receivers verify the signatures v1a of one client, as a JSON Web Key Set. They may be kept \
              for five minutes. There are keys for every id, also for one that no client has.",
    input: Input::Query(SchemaGenerator::subschema_for::<WebhookKeysRequest>),
    reads_if_match: false,
    answer: json(
        "The public keys.",
        SchemaGenerator::subschema_for::<WebhookKeysResponse>,
        r#"{ "keys": [{ "kid": "NBpAik9gFex-NJfKdgSW2xbMeL_QOagvRPmcbNzZg20", "kty": "OKP", "crv": "Ed25519",
             "x": "iVrYE8YaYQIElJRLbqpod1G_2Tm03oOgB2hO10ci6Vk", "use": "sig", "alg": "EdDSA",
             "whpk": "whpk_iVrYE8YaYQIElJRLbqpod1G/2Tm03oOgB2hO10ci6Vk=" }] }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};
