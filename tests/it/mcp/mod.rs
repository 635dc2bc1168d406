//! The Model Context Protocol: the tools, the protocol around them, and clients of other makers.

mod clients;
mod protocol;
mod tools;
