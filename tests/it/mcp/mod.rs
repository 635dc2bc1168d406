//! The Model Context Protocol: the tools, the protocol around them, and third-party clients.

mod clients;
mod elicitation;
mod evaluation;
mod events;
mod programs;
mod protocol;
mod resources;
mod schemas;
mod tasks;
mod tools;
