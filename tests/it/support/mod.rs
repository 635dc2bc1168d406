//! What tests share: the service in this process, a client for it, receivers for what it sends.
//!
//! Not every test module uses everything here.
#![allow(dead_code)]

pub mod app;
pub mod app_folder;
pub mod azurite;
pub mod client;
pub mod golden;
pub mod integration;
pub mod ports;
pub mod proxy;
pub mod receiver;
pub mod wire;
