//! The nouns and rules of the product, without I/O, clock, framework or storage.
//!
//! | word | meaning |
//! |---|---|
//! | *conversation* | one text, one time, one endpoint, owned by one client |
//! | *due* | the instant the conversation was scheduled for |
//! | *attempt* | one try to deliver, counted when it is claimed, before the first byte is sent |
//! | *lease* | until when the worker that claimed an attempt owns the conversation |
//! | *wake-up* | the instant at which a conversation next needs a worker; none once it is final |
//! | *wake-up* | a message that says "look at this conversation now"; never trusted, only a reason to read |
//! | *generation* | counts the client's changes of the time of the next attempt, so that older wake-ups are recognised |

mod address;
mod attempt;
mod client;
mod content;
mod conversation;
mod delivery_policy;
mod destination;
mod endpoint;
mod id;
mod new_conversation;
mod scope;
mod secret;
mod state;
mod target;
mod timestamp;
mod words;

pub use address::{AddressClass, Verdict, classify};
pub use attempt::{Attempt, AttemptResult, AttemptStart, ErrorClass, Outcome};
pub use client::{ClientId, InvalidClientId};
pub use content::{AdditionalInfo, Content, Format};
pub use conversation::{
    AlreadyFinal, Claim, ClaimRefused, ClaimedAttempt, Conversation, NotDelivering, NotFailed, StoredConversation,
    TooLate,
};
pub use delivery_policy::DeliveryPolicy;
pub use destination::Destination;
pub use endpoint::{CheckedUrl, Endpoint, EndpointPolicy};
pub use id::{ConversationId, InvalidConversationId};
pub use new_conversation::NewConversation;
pub use scope::{Scope, Scopes, UnknownScope};
pub use secret::Secret;
pub use state::{Lease, LeaseToken, State, Status};
pub use target::{Headers, Method, Target};
pub use timestamp::{InvalidTime, Timestamp};
pub use words::UnknownWord;
