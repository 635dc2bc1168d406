//! The conversation and its rules, without I/O, clock, framework or storage. `docs/glossary.md` defines the words.

mod address;
mod attempt;
mod callback;
mod client;
mod conversation;
mod delivery_policy;
mod destination;
mod endpoint;
mod endpoint_host;
mod expiry;
mod grant;
mod id;
mod idempotency;
mod invalid_time;
mod labels;
mod limits;
mod list_order;
mod name;
mod new_conversation;
mod payload;
mod pending;
mod redirect_uri;
mod retention;
mod scheduled_by;
mod scope;
mod secret;
mod signatures;
mod state;
mod subscription;
mod success_when;
mod target;
mod text_excerpt;
mod thread_id;
mod timestamp;
mod trace_context;
mod usage;
mod when;
mod words;

pub use address::{AddressClass, Verdict, classify};
pub use attempt::{Attempt, AttemptResult, AttemptStart, ErrorClass, Outcome};
pub use callback::{Callback, Callbacks};
pub use client::{ClientId, InvalidClientId};
pub use conversation::{
    AlreadyFinal, Claim, ClaimProof, ClaimRefused, ClaimedAttempt, Conversation, Course, DeliveryEnd, InvalidReceipt,
    NotDelivering, Occurrence, PauseRefused, Receipt, ReceiptRefused, Received, RedeliveryRefused, Series,
    StoredConversation, TooLate, Update, UpdateRefused, WholeConversation,
};
pub use delivery_policy::DeliveryPolicy;
pub use destination::Destination;
pub use endpoint::{AzureApp, CheckedUrl, Endpoint, EndpointPolicy, is_loopback_name};
pub use endpoint_host::{EndpointHost, InvalidHost};
pub use expiry::Expiry;
pub use grant::{Grant, GrantId, InvalidGrantId, Presented};
pub use id::{ConversationId, InvalidConversationId};
pub use idempotency::{IdempotentRequest, InvalidHash, Sha256};
pub use invalid_time::InvalidTime;
pub use labels::{InvalidLabel, Label, Labels};
pub use limits::{Budget, BudgetChange, BudgetPart, ClientLimits, LimitChange, LimitsChange, Overrun};
pub use list_order::ListOrder;
pub use name::{ConversationName, InvalidName, Named};
pub use new_conversation::NewConversation;
pub use payload::{AdditionalInfo, BodyTemplate, Format, Payload};
pub use pending::Pending;
pub use redirect_uri::{InvalidRedirectUri, RedirectUri};
pub use retention::{InvalidRetention, Retention};
pub use scheduled_by::{Call, Program, ScheduledBy};
pub use scope::{Scope, Scopes, UnknownScope};
pub use secret::Secret;
pub use signatures::Signatures;
pub use state::{Lease, LeaseToken, State, Status};
pub use subscription::{
    EventFilter, EventName, EventsText, InvalidSubscriptionId, Settled, Subscriber, Subscription, SubscriptionId,
};
pub use success_when::{Expected, SuccessWhen};
pub use target::{Headers, Method, Target};
pub use text_excerpt::TextExcerpt;
pub use thread_id::{InvalidThreadId, ThreadId};
pub use timestamp::{Timestamp, millis};
pub use trace_context::{InvalidTraceContext, TraceContext};
pub use usage::{ClientUsage, Day, Usage};
pub use when::{
    Cron, CronField, Delay, DueTime, EntryProblem, HORIZON_MS, InvalidCron, InvalidDelay, InvalidRecurrence,
    InvalidRecurring, InvalidWhen, LocalTime, MAX_CRON, NextOccurrence, Note, Period, PeriodUnit, Reading, Recurrence,
    RecurrenceField, UnknownZone, When, WhenField, WrittenRecurrence, Zone, ZoneRecord,
};
pub use words::UnknownWord;
