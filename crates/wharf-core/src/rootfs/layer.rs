//! One layer: its first reading, which lists its entries, and its second, which writes some of them.

use std::io::{Read, Write};

use super::acts::Act;
use super::head;
use super::seen::Seen;
use crate::tar_entries::{Entries, Entry};
use crate::{Error, ErrorKind, Result};

/// The most entries of one layer.
const MOST_ENTRIES: usize = 1 << 22;

/// Lists the entries of the tar in `reader`, which is read to its end.
///
/// # Errors
/// As [`Entries::next`].
pub(super) fn list(reader: impl Read) -> Result<Vec<Seen>> {
    each(reader, |_, _, _| Ok(()))
}

/// Lists the entries, and calls `visit` with the number of each, which may read its content.
///
/// # Errors
/// As [`list`]; those of `visit`.
pub(super) fn each<R: Read>(
    reader: R,
    mut visit: impl FnMut(usize, &mut Entry, &mut Entries<R>) -> Result<()>,
) -> Result<Vec<Seen>> {
    let mut entries = Entries::new(reader);
    let mut list = Vec::new();
    while let Some(mut entry) = entries.next()? {
        if list.len() == MOST_ENTRIES {
            let message = format!("more than {MOST_ENTRIES} entries");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        list.push(Seen::of(&entry)?);
        visit(list.len() - 1, &mut entry, &mut entries)?;
    }
    entries.finish()?;
    Ok(list)
}
/// Writes what is left of the tar in `reader`.
///
/// # Errors
/// As [`Entries::next`]; [`ErrorKind::Corrupt`] if it is not the tar that was listed.
pub(super) fn write(
    reader: impl Read,
    acts: &[(usize, Act)],
    target: &mut impl Write,
) -> Result<()> {
    let mut entries = Entries::new(reader);
    let mut acts = acts.iter().peekable();
    let mut number = 0;
    while acts.peek().is_some() {
        let Some(mut entry) = entries.next()? else {
            let message = "it changed between two readings";
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        while let Some((_, act)) = acts.next_if(|(at, _)| *at == number) {
            match act {
                Act::Own(name) => {
                    head::own(&entry, name, target)?;
                    let size = entry.size();
                    entries.copy(&mut entry, target)?;
                    head::pad(size, target)?;
                }
                Act::Link(name, to) => head::hard_link(&entry, name, to, target)?,
            }
        }
        number += 1;
    }
    Ok(())
}
