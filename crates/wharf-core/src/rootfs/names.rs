//! Names of entries: bytes between slashes.

use crate::{Error, ErrorKind, Result};

/// The longest name in bytes. Linux takes none that is longer in one call.
pub(super) const LONGEST: usize = 4096;

/// The parts of `name` without empty ones, `.` and `..`. None for the root.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it leaves the root or is too long.
pub(crate) fn parts(name: &[u8]) -> Result<Vec<&[u8]>> {
    if name.len() > LONGEST {
        let message = format!("a name of {} bytes, more than {LONGEST}", name.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if parts.pop().is_none() {
                    let message = format!("{} leaves the root", shown(name));
                    return Err(Error::new(ErrorKind::Invalid, message));
                }
            }
            part => parts.push(part),
        }
    }
    Ok(parts)
}

/// A name for a message.
pub(crate) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

/// What the name of an entry says of lower layers (image-spec: "Whiteouts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says<'a> {
    /// Nothing: it is an entry.
    Entry,
    /// This name of its directory is gone.
    Gone(&'a [u8]),
    /// All that its directory had is gone.
    Opaque,
    /// It is a note of a storage driver, and no part of the file system.
    Note,
}

/// Reads the parts of a name.
pub(super) fn says<'a>(parts: &[&'a [u8]]) -> Says<'a> {
    let Some((last, folders)) = parts.split_last() else {
        return Says::Entry;
    };
    if folders.iter().any(|part| part.starts_with(b".wh.")) {
        return Says::Note;
    }
    match last.strip_prefix(b".wh.") {
        None => Says::Entry,
        Some(b".wh..opq") => Says::Opaque,
        Some(b"" | b"." | b"..") => Says::Note,
        Some(note) if note.starts_with(b".wh.") => Says::Note,
        Some(name) => Says::Gone(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(name: &[u8]) -> Result<Vec<u8>> {
        parts(name).map(|parts| parts.join(&b'/'))
    }

    #[test]
    fn names_are_cleaned_and_cannot_leave_the_root() {
        for (name, clean) in [
            (&b"./etc//a"[..], &b"etc/a"[..]),
            (b"/etc/a/", b"etc/a"),
            (b"a/../b", b"b"),
            (b"./", b""),
            (b"\xff/b", b"\xff/b"),
        ] {
            assert_eq!(joined(name).unwrap(), clean);
        }
        for name in [&b".."[..], b"a/../../b", b"/../b"] {
            let error = joined(name).unwrap_err();
            assert!(error.to_string().contains("leaves the root"), "{error}");
        }
        assert!(parts(&[b'n'; LONGEST + 1]).is_err());
    }

    #[test]
    fn whiteouts_and_notes_are_known_by_their_names() {
        let of = |name: &'static [u8]| says(&parts(name).unwrap());
        assert_eq!(of(b"a/.wh.b"), Says::Gone(b"b"));
        assert_eq!(of(b".wh..wh..opq"), Says::Opaque);
        assert_eq!(of(b"a/.wh..wh.plnk"), Says::Note);
        assert_eq!(of(b".wh..wh.plnk/1.2"), Says::Note);
        assert_eq!(of(b".wh."), Says::Note);
        assert_eq!(of(b"a/wh.b"), Says::Entry);
        assert_eq!(of(b"."), Says::Entry);
    }
}
