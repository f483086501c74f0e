//! The library's one error type: a kind for programs, one line for people.
//!
//! An [`Error`] never holds a secret: of URLs it has only endpoint paths without query.

mod build;
mod detail;
mod error;
mod from;
mod kind;
mod line;

pub use self::detail::{Asked, Distrust, Guard, Lack, Refusal, Unreached};
pub use self::error::{Error, Result};
pub use self::kind::{ErrorKind, Side};
