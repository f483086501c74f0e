//! What is said where several things failed, each on its own.

use wharf::{Error, Result};

use crate::hints;
use crate::printer::Printer;

/// Of several errors the last is given, to be said as that of the command; the others are said. What
/// is wrong with a source is the same for all destinations, and said once.
///
/// # Errors
/// The last of `failed`, if there is any.
pub(crate) fn all(mut failed: Vec<Error>) -> Result<()> {
    let Some(last) = failed.pop() else {
        return Ok(());
    };
    let mut said = vec![hints::line(&last)];
    for error in &failed {
        let line = hints::line(error);
        if !said.contains(&line) {
            Printer::complain(&line);
            said.push(line);
        }
    }
    Err(last)
}
