//! What is remembered of registries from run to run: where content was seen, and how hosts behave.
//!
//! All of it is hints. A wrong one costs a request and is corrected; none decides whether content
//! is there. Trouble with the files fails nothing: then less is remembered.

mod book;
mod facts;
mod line;
mod moment;
mod registries;
mod sightings;

pub(crate) use self::facts::is_line;
pub use self::facts::{Fact, Facts, Scheme};
pub use self::registries::RegistryMemory;
