//! `schedule_conversation`
