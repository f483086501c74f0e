//! Shows a copy while it works, and its summary: one file for each form.
//!
//! Content that was there already gets no line; the summary counts it.

mod bars;
mod json;
mod label;
mod plain;
mod summary;
mod throttle;
mod view;
mod words;

pub(crate) use self::summary::place;
pub(crate) use self::view::{Company, Progress};
