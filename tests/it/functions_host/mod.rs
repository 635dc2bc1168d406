//! The Functions host: the files of the function app, its invocations, and the packaged app under a stand-in host.

mod function_app;
mod invocations;
mod running;
