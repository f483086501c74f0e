//! Words for people about errors that programs know by kind: what to do next.

use wharf::{Error, ErrorKind, Side};

/// The error in one line, with a hint where there is one.
pub(crate) fn line(error: &Error) -> String {
    let text = error.to_string();
    if let Some(registry) = error.refusing_registry() {
        return format!("{text} (wharf auth login {registry})");
    }
    let hint = links(error).or_else(|| hint(error.kind(), error.failed_side(), error.status()));
    match hint {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

/// What to do where a registry misses what a manifest links to, whatever status says so.
fn links(error: &Error) -> Option<&'static str> {
    let mut codes = error.diagnostic()?.errors.iter();
    let missing = codes.any(|entry| entry.code == "MANIFEST_BLOB_UNKNOWN");
    missing.then_some("all that a manifest links to must be in the repository before it")
}

/// What to do about it. Files speak for themselves: most hints are about registries.
fn hint(kind: ErrorKind, side: Option<Side>, status: Option<u16>) -> Option<&'static str> {
    let registry = status.is_some();
    match kind {
        ErrorKind::Unreachable => {
            Some("is a registry running there? plain http to other machines needs --insecure")
        }
        ErrorKind::Untrusted => {
            Some("add who signed it to the system's certificates, or trust anybody with --insecure")
        }
        ErrorKind::NotFound if registry && side == Some(Side::Destination) => {
            Some("some registries want the repository to be created first")
        }
        ErrorKind::Interrupted | ErrorKind::Timeout => {
            Some("running it again sends only what is missing")
        }
        ErrorKind::Busy => Some("try again later, or with a lower --jobs"),
        ErrorKind::Server if status == Some(507) => Some("free some space on the registry's disk"),
        ErrorKind::Server => Some("the registry has trouble of its own; its log knows more"),
        ErrorKind::NoSpace => Some("free some space; running it again sends only what is missing"),
        ErrorKind::Ambiguous => Some(
            "write oci:DIR:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME or PATH@DIGEST; \
             push --index takes a whole layout",
        ),
        ErrorKind::Corrupt if side == Some(Side::Source) => {
            Some("the source is damaged; fetch or build it again")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_in_brackets_on_the_same_line() {
        let error = Error::new(ErrorKind::Unreachable, "connection refused");
        assert_eq!(
            line(&error),
            "connection refused (is a registry running there? plain http to other machines needs --insecure)"
        );
        assert_eq!(line(&Error::new(ErrorKind::Invalid, "no")), "no");
    }
}
