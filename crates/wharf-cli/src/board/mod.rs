//! The rows of progress on a terminal: one for each thing that moves, and one for everything.

mod pace;
mod row;
mod rows;

pub(crate) use self::row::{Amount, blob};
#[cfg(test)]
pub(crate) use self::rows::fake;
pub(crate) use self::rows::{Board, Place};
