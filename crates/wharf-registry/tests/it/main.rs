//! The integration tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that fails fails the test"
)]

mod access;
mod client_resume;
mod common;
mod conditional;
mod conformance;
mod damage;
mod delete;
mod directory;
mod driver;
mod hashed;
mod http;
mod load;
mod meddled;
mod odd_types;
mod patience;
mod races;
mod referrers;
mod resume;
mod rules;
mod storage;
mod strict;
mod trouble;
