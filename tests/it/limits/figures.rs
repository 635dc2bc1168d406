//! The limits of the page, in its order, and the places of their figures in the code.

/// Where a figure of the page comes from.
pub enum Figure {
    /// The expression that follows a text in a file below `src`, times a number, divided by another one.
    Code(&'static str, &'static str, u64, u64),
    /// A figure of a library.
    Library(u64),
}

/// A size, a number of pieces, or a duration with its unit.
const fn code(file: &'static str, before: &'static str) -> Figure {
    Figure::Code(file, before, 1, 1)
}

const fn seconds(file: &'static str, before: &'static str) -> Figure {
    Figure::Code(file, before, 1000, 1)
}

const fn days(file: &'static str, before: &'static str) -> Figure {
    Figure::Code(file, before, 24 * 3600 * 1000, 1)
}

const fn half(file: &'static str, before: &'static str) -> Figure {
    Figure::Code(file, before, 1, 2)
}

/// The name of each row, and the figures of its column *at most*.
pub const LIMITS: &[(&str, &[Figure])] = &[
    ("`conversationText`", &[code("api/schedule_request.rs", "MAX_TEXT: usize = ")]),
    ("`endpoint`", &[code("domain/endpoint.rs", "MAX_BYTES: usize = ")]),
    (
        "`headers`",
        &[
            code("domain/target.rs", "MAX_COUNT: usize = "),
            code("domain/target.rs", "MAX_NAME: usize = "),
            code("domain/target.rs", "MAX_VALUE: usize = "),
            code("domain/target.rs", "MAX_TOTAL: usize = "),
        ],
    ),
    (
        "`additionalInfo`",
        &[code("json/raw_json.rs", "MAX_BYTES: usize = "), code("json/raw_json.rs", "MAX_DEPTH: usize = ")],
    ),
    (
        "`body`",
        &[
            code("api/body_field.rs", "MAX_BODY: usize = "),
            code("json/raw_json.rs", "MAX_DEPTH: usize = "),
            code("template/mod.rs", "MAX_PLACEHOLDERS: usize = "),
            code("template/mod.rs", "MAX_RENDERED: usize = "),
        ],
    ),
    (
        "`successWhen`",
        &[
            code("domain/success_when.rs", "MAX_POINTER: usize = "),
            code("domain/success_when.rs", "MAX_EXPECTED: usize = "),
        ],
    ),
    (
        "`labels`",
        &[
            code("domain/labels.rs", "MAX_COUNT: usize = "),
            code("domain/labels.rs", "MAX_KEY: usize = "),
            code("domain/labels.rs", "MAX_VALUE: usize = "),
        ],
    ),
    ("`threadId`", &[code("domain/thread_id.rs", "MAX: usize = ")]),
    ("`onFailed`, `onCompleted`", &[]),
    ("the name in `PUT /api/scheduler/named/{name}`", &[code("domain/name.rs", "MAX: usize = ")]),
    (
        "`retry.maxAttempts`",
        &[
            code("api/schedule_request.rs", "MAX_ATTEMPTS: u32 = "),
            code("domain/delivery_policy.rs", "Self { max_attempts: "),
        ],
    ),
    (
        "`timeoutSeconds`",
        &[
            seconds("api/schedule_request.rs", "MAX_TIMEOUT_SECONDS: u32 = "),
            seconds("domain/delivery_policy.rs", ", timeout_seconds: "),
        ],
    ),
    (
        "`expireAfter`",
        &[
            code("api/schedule_request.rs", "MIN_EXPIRE_AFTER: Duration = "),
            code("api/schedule_request.rs", "MAX_EXPIRE_AFTER: Duration = "),
        ],
    ),
    ("`scheduledTime` in the past", &[code("domain/when/mod.rs", "PAST_TOLERANCE_MS: i64 = ")]),
    ("`scheduledTime`, `delay` in the future", &[code("domain/when/mod.rs", "HORIZON_MS: i64 = ")]),
    ("`recurrence.cron`", &[code("domain/when/cron_text.rs", "MAX_CRON: usize = ")]),
    ("time between two occurrences", &[code("domain/when/recurrence.rs", "LEAST_DISTANCE: Duration = ")]),
    ("`missedOccurrences`", &[code("domain/when/recurrence.rs", "MAX_COUNTED: u32 = ")]),
    ("occurrences that are shown", &[code("domain/conversation/series.rs", "MAX_KEPT: usize = ")]),
    ("attempts that are shown", &[code("domain/conversation/mod.rs", "MAX_ATTEMPTS_KEPT: usize = ")]),
    (
        "attempts in the life of a conversation, redeliveries included",
        &[code("domain/conversation/mod.rs", "MAX_ATTEMPTS_IN_LIFE: u32 = ")],
    ),
    (
        "days for which it is kept after its end",
        &[
            days("config/server.rs", r#"name: "RETENTION_DAYS", default: ""#),
            days("domain/retention.rs", "MIN_DAYS: u16 = "),
            days("domain/retention.rs", "MAX_DAYS: u16 = "),
        ],
    ),
    (
        "conversations that are pending ([quota](#the-quota))",
        &[code("config/server.rs", "MAX_PENDING_ON_AZURE: Option<NonZeroU32> = NonZeroU32::new(")],
    ),
    (
        "bytes that were given with its pending conversations ([quota](#the-quota))",
        &[code("config/server.rs", "MAX_PENDING_BYTES_ON_AZURE: Option<NonZeroUsize> = NonZeroUsize::new(")],
    ),
    ("[subscriptions to events](events.md)", &[code("domain/subscription.rs", "MAX_PER_CLIENT: usize = ")]),
    (
        "time for which a subscription is granted",
        &[
            code("domain/subscription.rs", "MAX_TTL: Duration = "),
            code("domain/subscription.rs", "DEFAULT_TTL: Duration = "),
            code("domain/subscription.rs", "MIN_TTL: Duration = "),
        ],
    ),
    (
        "`conversationText` and `additionalInfo` of an event, as JSON",
        &[code("api/deliver_field.rs", "MAX_EVENT_DATA: usize = ")],
    ),
    (
        "time of the challenge of a new subscriber",
        &[code("delivery/subscriptions.rs", "CHALLENGE_TIMEOUT: Duration = ")],
    ),
    ("deliveries a day, live conversations, recurrences; the same for a thread", &[]),
    ("approved hosts of a client", &[code("domain/limits.rs", "MAX_HOSTS: usize = ")]),
    (
        "[confirmed hosts](mcp.md#questions-to-the-person) of a client",
        &[code("store/logins.rs", "MAX_HOSTS: usize = "), code("login/confirmations.rs", "CONFIRMED_FOR: Duration = ")],
    ),
    (
        "requests in a second",
        &[
            code("config/server.rs", "RATE_LIMIT_ON_AZURE: Option<NonZeroU32> = NonZeroU32::new("),
            code("http/rate_limiter.rs", "BURST_SECONDS: u32 = "),
        ],
    ),
    (
        "lists that are read at one time",
        &[
            code("scheduler/list_limiter.rs", "PER_CLIENT: usize = "),
            code("scheduler/list_limiter.rs", "MAX_WAIT: Duration = "),
        ],
    ),
    (
        "deliveries under way to one host",
        &[
            code("delivery/host_limiter.rs", "PER_HOST: usize = "),
            code("delivery/host_limiter.rs", "PER_FAST_HOST: usize = "),
            code("delivery/host_limiter.rs", "FAST_RESPONSE: Duration = "),
        ],
    ),
    ("deliveries under way in one process", &[]),
    ("clients whose signing keys are in memory", &[code("delivery/signing/signer.rs", "MAX_CACHED: usize = ")]),
    ("names of endpoints that are looked up", &[code("delivery/client_limiter.rs", "LOOK_UPS: usize = ")]),
    ("wait for the secrets of a vault, after the start", &[code("http/routes.rs", "MAX_WAIT: Duration = ")]),
    ("head", &[code("http/server.rs", "MAX_HEAD: usize = "), code("http/server.rs", "MAX_HEADERS: usize = ")]),
    (
        "body of a client, message to `/mcp`",
        &[code("http/operation.rs", "Self::AnyClient(_) | Self::Client { .. } => ")],
    ),
    ("body of `scheduleBatch`", &[code("http/operations.rs", "BATCH_LIMIT: usize = ")]),
    ("body of `importConversations`", &[code("http/backup_operations.rs", "IMPORT_LIMIT: usize = ")]),
    ("`lines` of `importConversations`", &[code("api/backup.rs", "MAX: usize = ")]),
    ("page of `exportConversations`", &[code("backup/mod.rs", "PAGE_BYTES: usize = ")]),
    ("line of an import", &[code("cli/backup/import.rs", "MAX_LINE: usize = ")]),
    ("body without authentication, such as a login", &[code("http/operation.rs", "Self::Anyone(_) => ")]),
    ("body of the operations at `/oauth`", &[code("http/handlers/oauth/mod.rs", "BODY_LIMIT: usize = ")]),
    ("time of a body", &[code("http/body.rs", "MAX_TIME: Duration = ")]),
    ("`conversations` of `scheduleBatch`", &[code("api/batch_request.rs", "MAX: usize = ")]),
    ("`limit` of `cancelConversations`, `redeliverConversations`", &[code("api/list_request.rs", "MAX_LIMIT: u32 = ")]),
    (
        "`limit` of `listConversations`",
        &[code("api/list_request.rs", "MAX_LIMIT: u32 = "), code("api/list_request.rs", "DEFAULT_LIMIT: u32 = ")],
    ),
    (
        "`limit` of `listClients`",
        &[code("api/list_request.rs", "MAX_LIMIT: u32 = "), code("api/list_request.rs", "DEFAULT_LIMIT: u32 = ")],
    ),
    (
        "rows that a page of a list reads",
        &[
            code("store/conversations/listing.rs", "LIST_ROWS: usize = "),
            code("store/conversations/listing.rs", "LIST_BYTES: usize = "),
            code("store/conversations/listing.rs", "LIST_TIME: Duration = "),
        ],
    ),
    (
        "`count` of `previewTime`",
        &[code("api/preview_request.rs", "MAX_COUNT: u32 = "), code("api/preview_request.rs", "DEFAULT_COUNT: u32 = ")],
    ),
    (
        "`max` of `receiveConversations`",
        &[code("api/inbox.rs", "MAX_RECEIVED: u32 = "), code("api/inbox.rs", "self.max.unwrap_or(")],
    ),
    ("texts that `receiveConversations` returns", &[code("delivery/inbox.rs", "MAX_BYTES: usize = ")]),
    (
        "`leaseSeconds` of `receiveConversations`",
        &[
            seconds("api/inbox.rs", "MIN_LEASE_SECONDS: u32 = "),
            code("domain/conversation/inbox.rs", "MAX_INBOX_LEASE: Duration = "),
            seconds("api/inbox.rs", "DEFAULT_LEASE_SECONDS: u32 = "),
        ],
    ),
    (
        "`waitSeconds` of `receiveConversations` and `waitForConversation`",
        &[seconds("api/inbox.rs", "MAX_WAIT_SECONDS: u32 = ")],
    ),
    ("`Idempotency-Key`", &[code("api/idempotency.rs", "MAX_KEY: usize = ")]),
    ("time for which a key belongs to its request", &[code("domain/idempotency.rs", "KEPT: Duration = ")]),
    ("errors in one response", &[code("api/problem/mod.rs", "MAX_COUNT: usize = ")]),
    ("text of others in a result of a tool", &[code("api/user_content.rs", "MAX_BYTES: usize = ")]),
    ("API keys of a client that are valid", &[code("auth/client_admin.rs", "MAX_KEYS: usize = ")]),
    (
        "time until a disabled client is refused by all processes",
        &[code("auth/client_directory.rs", "CACHED_FOR: Duration = ")],
    ),
    ("API key", &[code("auth/api_key.rs", "if ("), code("auth/api_key.rs", "MAX_BYTES: usize = ")]),
    ("life of a token", &[seconds("auth/token.rs", "MAX_TTL_SECONDS: u32 = ")]),
    ("difference of clocks for the times in a token", &[seconds("auth/token.rs", "LEEWAY_SECONDS: i64 = ")]),
    ("token", &[code("auth/token.rs", "MAX_BYTES: usize = ")]),
    (
        "wrong keys of a client from one address",
        &[code("auth/login_throttle.rs", "OF_PAIR: Limit = Limit { failures: ")],
    ),
    (
        "the same after a login from there",
        &[
            code("auth/login_throttle.rs", "OF_PAIR_AFTER_SUCCESS: Limit = Limit { failures: "),
            code("auth/login_throttle.rs", "SUCCESS_COUNTS_FOR: Duration = "),
        ],
    ),
    (
        "wrong keys of all clients from one address",
        &[code("auth/login_throttle.rs", "OF_SOURCE: Limit = Limit { failures: ")],
    ),
    ("time to answer the page of a login, with the sign-in", &[code("login/request.rs", "LIFETIME: Duration = ")]),
    ("sealed login that a browser keeps during a sign-in", &[code("login/sign_in.rs", "MAX_BEGUN: usize = ")]),
    ("sign-ins that end at one time", &[code("auth/sign_in.rs", "MAX_AT_ONCE: usize = ")]),
    ("time to answer the questions of a tool", &[code("login/confirmations.rs", "LIFETIME: Duration = ")]),
    ("life of the code of a login", &[code("login/sealed.rs", "LIFETIME: Duration = ")]),
    ("login of a program without a refresh", &[code("domain/grant.rs", "MAX_IDLE: Duration = ")]),
    ("login of a program", &[code("domain/grant.rs", "MAX_AGE: Duration = ")]),
    ("second use of a refresh token", &[code("domain/grant.rs", "GRACE: Duration = ")]),
    (
        "`redirect_uris` of a program or a client",
        &[
            code("api/client_requests.rs", "MAX_REDIRECT_URIS: usize = "),
            code("domain/redirect_uri.rs", "MAX: usize = "),
        ],
    ),
    ("id that a program gets by its registration", &[code("login/registration.rs", "MAX_ID: usize = ")]),
    (
        "registrations from one address",
        &[code("auth/login_throttle.rs", "OF_REGISTRATIONS: Limit = Limit { failures: ")],
    ),
    (
        "document of a program",
        &[
            code("login/document.rs", "MAX_BYTES: usize = "),
            code("login/document.rs", "TIMEOUT: Duration = "),
            code("login/document.rs", "const CACHED_FOR: Duration = "),
        ],
    ),
    (
        "waiting for a complete request head, idle time included",
        &[seconds("http/server.rs", "idle: Duration::from_secs("), code("http/server.rs", "Self { idle: ")],
    ),
    (
        "a response that makes no progress because the caller does not read",
        &[seconds("http/server.rs", "write: Duration::from_secs(")],
    ),
    (
        "responses that wait in the system because the caller does not read",
        &[code("http/server.rs", "MAX_UNSENT: u32 = ")],
    ),
    ("connections without an authenticated request", &[half("descriptors.rs", "MAX_CONNECTIONS: usize = ")]),
    ("connections of clients", &[half("descriptors.rs", "MAX_CONNECTIONS: usize = ")]),
    (
        "memory for bodies before authentication that have arrived in part",
        &[code("http/connection.rs", "BODY_BYTES: (usize, usize) = (")],
    ),
    ("the same for clients", &[code("http/connection.rs", "BODY_BYTES: (usize, usize) = (4 * 1024 * 1024, ")]),
    ("look-up of the name", &[code("outbound/connector.rs", "RESOLVE_TIMEOUT: Duration = ")]),
    ("connection and TLS handshake together", &[code("outbound/connector.rs", "CONNECT_TIMEOUT: Duration = ")]),
    ("first byte of the response", &[code("outbound/connection.rs", "FIRST_BYTE_TIMEOUT: Duration = ")]),
    ("the whole exchange", &[]),
    ("interim responses (1xx) before the response", &[code("outbound/connection.rs", "MAX_INTERIM: u32 = ")]),
    ("head of the response", &[code("outbound/connection.rs", "MAX_HEAD: usize = "), Figure::Library(100)]),
    ("body of the response", &[code("outbound/client.rs", "MAX_READ: usize = ")]),
    ("excerpt of that body that is kept", &[code("domain/attempt.rs", "MAX_EXCERPT: usize = ")]),
    ("pauses between attempts", &[seconds("delivery/retry.rs", "PAUSES: [u64; 8] = ")]),
    ("pause that `Retry-After` can ask for", &[code("domain/delivery_policy.rs", "MAX_PAUSE: Duration = ")]),
    (
        "deliveries under way in one process",
        &[
            code("delivery/deliver.rs", "MAX_IN_FLIGHT: usize = "),
            code("delivery/deliver.rs", "MAX_IN_FLIGHT_UNDER_HOST: usize = "),
        ],
    ),
    (
        "requests under way to the tables, and as many to the queue",
        &[code("store/azure/mod.rs", "IDLE_PER_HOST: usize = ")],
    ),
    ("wait of such a request", &[code("store/azure/mod.rs", "TIMEOUT: Duration = ")]),
    ("response to such a request", &[code("store/azure/mod.rs", "TIMEOUT: Duration = ")]),
    ("turn of the clock", &[code("domain/when/mod.rs", "HORIZON_MS: i64 = ")]),
    ("time for one turn", &[code("dev/turner.rs", "MAX_TIME: Duration = ")]),
    ("deliveries of one instant that each led to the next", &[code("dev/turner.rs", "MAX_ROUNDS: usize = ")]),
    (
        "deliveries that the inbox keeps",
        &[code("dev/arrivals.rs", "MAX_ARRIVALS: usize = "), code("dev/arrivals.rs", "MAX_BYTES: usize = ")],
    ),
    ("one delivery to the inbox", &[code("http/dev_operations.rs", "MAX_DELIVERY: usize = ")]),
];
