//! The memory of registries between runs: where content was seen, and how hosts behave.
//!
//! Everything in it is a hint. A wrong one costs a request and is corrected; none decides whether
//! content is there. File errors fail nothing; less is remembered then.

mod answers;
mod book;
mod facts;
mod line;
mod moment;
mod registries;
mod sightings;

pub(crate) use self::facts::is_line;
pub use self::facts::{Fact, Facts, Scheme};
pub use self::registries::RegistryMemory;
