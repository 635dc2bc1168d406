//! One file for each operation, and tests of what holds for all of them.

mod authorization;
mod bulk;
mod cancel_conversation;
mod cancel_conversations;
mod corpus;
mod get_conversation_status;
mod get_signing_keys;
mod health;
mod issue_oauth_token;
mod issue_token;
mod list_conversations;
mod named_conversations;
mod oauth_metadata;
mod openapi;
mod operation_table;
mod preview_time;
mod quotas;
mod rate_limits;
mod redeliver_conversation;
mod redeliver_conversations;
mod run_conversation;
mod schedule_batch;
mod schedule_conversation;
mod update_conversation;
mod webhook_keys;
mod wrong_requests;
