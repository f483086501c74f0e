//! What is said where several things failed, each on its own.

use wharf::{Error, Result};

use crate::hints;
use crate::printer::Printer;

/// Of several errors the last is given, to be said as that of the command; the others are said.
///
/// # Errors
/// The last of `failed`, if there is any.
pub(crate) fn all(mut failed: Vec<Error>) -> Result<()> {
    let Some(last) = failed.pop() else {
        return Ok(());
    };
    for error in &failed {
        Printer::complain(&hints::line(error));
    }
    Err(last)
}
