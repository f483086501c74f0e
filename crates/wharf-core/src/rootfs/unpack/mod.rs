//! Writes a file system into a directory, and nothing outside of it.

mod attributes;
mod beneath;
mod into;
mod staging;
mod writer;

pub(super) use self::into::into;
