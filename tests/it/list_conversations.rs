//! `list_conversations`
