//! The Functions host: the function app's files, its invocations, and the packaged app under a stand-in host.

mod function_app;
mod invocations;
mod running;
