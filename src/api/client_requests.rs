//! The requests of an operator about clients, and their validation.

use schemars::JsonSchema;
use serde_json::json;

use super::field_errors::FieldErrors;
use super::{ClientLimitsRequest, ErrorDetail, FromObject, ListRequest, ObjectReader, Synonyms};
use crate::auth::NewClient;
use crate::domain::{ClientId, RedirectUri, Scope, Scopes, Signatures};

/// The client to add.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(crate) struct AddClientRequest {
    /// The id of the client. It cannot be changed later.
    #[schemars(required, length(min = 1, max = ClientId::MAX), extend("pattern" = ClientId::PATTERN))]
    client_id: Option<String>,
    /// Its scopes. Without them, it has all but metrics:read and operator.
    #[schemars(
        with = "Option<Vec<String>>",
        length(min = 1, max = AddClientRequest::MAX_SCOPES),
        extend("items" = json!({ "type": "string", "enum": Scope::ALL.map(Scope::as_str) }))
    )]
    scopes: Option<Vec<Option<String>>>,
    /// The addresses to which a login by the id of this client returns the browser. A program needs them if it cannot register
    /// itself and its user types the id in.
    #[schemars(
        with = "Option<Vec<String>>",
        length(min = 1, max = AddClientRequest::MAX_REDIRECT_URIS),
        extend("items" = json!({ "type": "string", "minLength": 1, "maxLength": RedirectUri::MAX }))
    )]
    redirect_uris: Option<Vec<Option<String>>>,
    #[schemars(flatten)]
    limits: ClientLimitsRequest,
}

impl FromObject for AddClientRequest {
    const SYNONYMS: Synonyms = &[
        ("clientId", &["client", "id", "name", "clientname"]),
        ("scopes", &["scope", "rights", "permissions"]),
        ("redirectUris", &["redirecturi", "redirect", "redirects", "callback", "callbacks"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            client_id: object.string("clientId"),
            scopes: object
                .items("scopes", r#"["conversations:read"]"#, Self::MAX_SCOPES, |item| serde_json::from_str(item).ok()),
            redirect_uris: object.items(
                "redirectUris",
                r#"["https://claude.ai/api/mcp/auth_callback"]"#,
                Self::MAX_REDIRECT_URIS,
                |item| serde_json::from_str(item).ok(),
            ),
            limits: object.part::<ClientLimitsRequest>(),
        }
    }
}

impl AddClientRequest {
    const MAX_SCOPES: usize = Scope::ALL.len();
    const MAX_REDIRECT_URIS: usize = 10;

    /// The id and the properties of the client.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field, scope or address that is not accepted.
    pub(crate) fn validate(self) -> Result<(ClientId, NewClient), Vec<ErrorDetail>> {
        let mut errors = FieldErrors::default();
        let id = self.client_id.unwrap_or_default();
        let id = errors.check("/clientId", id.parse::<ClientId>());
        let mut scopes = self.scopes.is_none().then(Scopes::all).unwrap_or(Scopes::none());
        for (position, name) in self.scopes.unwrap_or_default().into_iter().enumerate() {
            match name.and_then(|name| Scope::named(&name)) {
                Some(scope) => scopes = scopes.with(scope),
                None => errors.add(
                    &format!("/scopes/{position}"),
                    format!("must be one of {}", Scope::ALL.map(Scope::as_str).join(", ")),
                ),
            }
        }
        let (mut redirect_uris, limits) = (Vec::new(), self.limits.into());
        for (position, uri) in self.redirect_uris.unwrap_or_default().into_iter().enumerate() {
            let uri = uri.unwrap_or_default().parse::<RedirectUri>();
            redirect_uris.extend(errors.check(&format!("/redirectUris/{position}"), uri));
        }
        match id {
            Some(id) if errors.0.is_empty() => Ok((id, NewClient { scopes, redirect_uris, limits })),
            _ => Err(errors.0),
        }
    }
}

/// The signatures of a client.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClientSignaturesRequest {
    /// The kinds of signature of its deliveries: v1, or v1 and v1a.
    #[schemars(
        required,
        with = "Vec<String>",
        length(min = 1, max = ClientSignaturesRequest::MAX),
        extend("items" = json!({ "type": "string", "enum": Signatures::V1AndV1a.names() })),
        extend("contains" = json!({ "const": "v1" }), "uniqueItems" = true)
    )]
    signatures: Option<Vec<Option<String>>>,
}

impl FromObject for ClientSignaturesRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let signatures = object.items("signatures", r#"["v1"]"#, Self::MAX, |item| serde_json::from_str(item).ok());
        Self { signatures }
    }
}

impl ClientSignaturesRequest {
    const MAX: usize = Signatures::V1AndV1a.names().len();

    /// The signatures.
    ///
    /// # Errors
    /// An [`ErrorDetail`] if the names are not those of a choice.
    pub(crate) fn validate(self) -> Result<Signatures, Vec<ErrorDetail>> {
        let names = self.signatures.unwrap_or_default();
        let names: Vec<_> = names.iter().map(|name| name.as_deref().unwrap_or_default()).collect();
        let detail = || r#"must be ["v1"] or ["v1", "v1a"]"#.to_owned();
        Signatures::named(&names)
            .ok_or_else(|| vec![ErrorDetail { pointer: "/signatures".to_owned(), detail: detail() }])
    }
}

/// A page of clients.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ListClientsRequest {
    /// The most clients on a page. The default is 50.
    #[schemars(range(min = 1, max = ListRequest::MAX_LIMIT))]
    limit: Option<u32>,
    /// The nextCursor of the page before. Without it, the first page is returned.
    #[schemars(length(max = ClientId::MAX))]
    cursor: Option<String>,
}

impl FromObject for ListClientsRequest {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { limit: object.whole_number("limit", 1..=ListRequest::MAX_LIMIT), cursor: object.string("cursor") }
    }
}

impl ListClientsRequest {
    /// The id behind which the page begins, and the most clients on it.
    ///
    /// # Errors
    /// An [`ErrorDetail`] if the cursor is none.
    pub(crate) fn validate(self) -> Result<(Option<ClientId>, usize), Vec<ErrorDetail>> {
        let limit = self.limit.unwrap_or(ListRequest::DEFAULT_LIMIT) as usize;
        // The cursor is the id of the last client on the page before. It tells an operator nothing new.
        let Some(cursor) = self.cursor.filter(|cursor| !cursor.is_empty()) else { return Ok((None, limit)) };
        let detail =
            || "must be the nextCursor that an earlier response returned; leave it out to start anew".to_owned();
        let not_one = |_| vec![ErrorDetail { pointer: "/cursor".to_owned(), detail: detail() }];
        Ok((Some(cursor.parse().map_err(not_one)?), limit))
    }
}
