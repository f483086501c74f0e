//! Uploads blobs (distribution-spec: "Pushing blobs").

mod chunks;
mod ingest;
mod manner;
mod mount;
mod put_blob;
mod reading;
mod requests;
mod resume;
mod send_all;
mod session;

pub(crate) use self::ingest::ingest;
pub(crate) use self::put_blob::{asks_first, put};
#[cfg(fuzzing)]
pub(crate) use self::session::length as session_length;
pub(crate) use self::session::{end_kept, leave_kept};
