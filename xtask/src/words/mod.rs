//! Words that make the reader work: their number may fall, and never rises.

mod allowed;
mod count;
mod guard;

pub(crate) use guard::{check, lower, show};
