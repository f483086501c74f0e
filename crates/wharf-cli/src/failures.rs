//! The errors of several independent failures.

use wharf::{Error, Result};

use crate::hints;
use crate::printer::Printer;

/// Returns the last of several errors as the error of the command, and prints the others. Prints an
/// error of the source, which is the same for all destinations, once.
///
/// # Errors
/// The last of `failed`, if any.
pub(crate) fn all(printer: &Printer, mut failed: Vec<Error>) -> Result<()> {
    let Some(last) = failed.pop() else {
        return Ok(());
    };
    let mut said = vec![hints::line(&last)];
    for error in &failed {
        let line = hints::line(error);
        if !said.contains(&line) {
            printer.complain(&line);
            said.push(line);
        }
    }
    Err(last)
}
