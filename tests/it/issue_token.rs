//! `issue_token`
