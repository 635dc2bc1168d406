//! Strict JSON objects, raw JSON, and types that are serialised as text: cases that serde's defaults do not cover.

mod canonical;
pub mod items;
pub mod members;
mod merge;
pub mod pairs;
mod raw_json;
pub mod secret;
mod strict_object;
pub mod syntax;
pub mod text;

pub use canonical::canonical;
pub use merge::merge;
pub use raw_json::{JsonText, RawJson};
pub use strict_object::StrictObject;
