//! How a blob gets into a repository (distribution-spec: "Pushing blobs").

mod chunks;
mod manner;
mod mount;
mod put;
mod resume;
mod send;
mod session;
mod stream;

pub(super) use self::put::{asks_first, put};
pub(super) use self::session::end_kept;
#[cfg(fuzzing)]
pub(super) use self::session::length as session_length;
pub(super) use self::stream::ingest;
