//! What is seen of a copy while it works, and of what it did: a file for each way to show it.
//!
//! What was there already is not worth a line: the summary counts it.

mod bars;
mod json;
mod label;
mod plain;
mod summary;
mod throttle;
mod view;
mod words;

pub(crate) use self::view::{Company, Progress};
