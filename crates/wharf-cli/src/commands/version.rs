//! `wharf version`.

use wharf::Result;

use crate::commands::Ended;
use crate::context::Context;

/// Prints the version and nothing else.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn run(context: &Context) -> Result<Ended> {
    context
        .printer
        .data(env!("CARGO_PKG_VERSION"))
        .map(|()| Ended::Done)
}
