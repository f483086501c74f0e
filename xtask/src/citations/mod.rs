//! Documents that comments and texts name are in the repository, and so are rows of the wire
//! specification.

mod guard;
mod paths;
mod rows;

pub(crate) use guard::check;
