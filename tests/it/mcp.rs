//! `mcp`: the tools, the protocol around them, and clients that others wrote.

mod protocol;
mod tools;
mod wire;
