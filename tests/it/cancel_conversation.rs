//! `cancel_conversation`
