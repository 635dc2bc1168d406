//! A storage account that counts what it bills, and a service on it, in virtual time.
//!
//! The service is the real code: `load` schedules conversations and lets them be delivered, `host` stands for the
//! Functions host, and `account` counts each operation. `money` multiplies the counts by list prices.

pub mod account;
pub mod batch;
pub mod counts;
pub mod host;
pub mod idle;
pub mod load;
pub mod meter;
pub mod money;
pub mod service;
pub mod tables;
