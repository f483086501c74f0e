//! The commands, a file each: from what was typed to a call of the library.

mod auth;
mod copy;
mod push;
mod registry;
mod run;
mod version;

pub(crate) use self::run::{Ended, run};
