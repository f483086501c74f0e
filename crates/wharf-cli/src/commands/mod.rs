//! The commands, a file each: from what was typed to a call of the library.

mod auth;
mod blob;
mod copy;
mod delete;
mod embed;
mod manifest;
mod push;
mod registry;
mod run;
mod tag;
mod version;

pub(crate) use self::run::{Ended, run};
