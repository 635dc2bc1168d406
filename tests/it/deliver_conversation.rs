//! `deliver_conversation`
