//! Manifests that refer to a subject: registered by the registry, or listed under a tag.

mod index;
mod lock_file;
mod native;
mod register;
mod tag_list;
mod update;

#[cfg(fuzzing)]
pub(crate) use self::index::ReferrersIndex;
pub(crate) use self::register::{list, register, unregister};
