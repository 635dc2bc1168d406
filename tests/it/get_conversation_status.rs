//! `get_conversation_status`
