//! `mcp`: the tools, the protocol around them, and clients that others wrote.

mod clients;
mod plain;
mod protocol;
mod tools;
mod wire;
