//! The exit codes: their one table, for the process, its help and its documentation.

use std::process::ExitCode;

use wharf::{Error, ErrorKind};

/// How a command ended, for scripts. Programs that only look for 0 see no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// An error without a code of its own.
    Failed = 1,
    /// The arguments are wrong, or say too little.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// The registry wants credentials, other ones, or a right.
    NotAllowed = 4,
    /// The other end was not reached, is not trusted, or went silent.
    Network = 5,
    /// The registry refused the request, or failed.
    Registry = 6,
    /// A document or content is malformed or damaged.
    Content = 7,
    /// A guard of ours refused.
    Guarded = 8,
    /// A file or the disk of this machine failed.
    Local = 9,
}

impl Exit {
    /// Those of errors, in their order.
    pub(crate) const ALL: [Exit; 9] = [
        Exit::Failed,
        Exit::Usage,
        Exit::NotFound,
        Exit::NotAllowed,
        Exit::Network,
        Exit::Registry,
        Exit::Content,
        Exit::Guarded,
        Exit::Local,
    ];

    /// The one of an error.
    pub(crate) fn of(error: &Error) -> Exit {
        match error.kind() {
            ErrorKind::Ambiguous => Exit::Usage,
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::Unauthorized | ErrorKind::Denied => Exit::NotAllowed,
            ErrorKind::Unreachable
            | ErrorKind::Untrusted
            | ErrorKind::Interrupted
            | ErrorKind::Timeout => Exit::Network,
            ErrorKind::Busy | ErrorKind::Server | ErrorKind::Rejected => Exit::Registry,
            ErrorKind::Corrupt | ErrorKind::Invalid => Exit::Content,
            ErrorKind::Refused => Exit::Guarded,
            ErrorKind::NoSpace | ErrorKind::Io => Exit::Local,
            _ => Exit::Failed,
        }
    }

    /// What the process returns.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    /// Its meaning in a line.
    fn meaning(self) -> &'static str {
        match self {
            Exit::Failed => {
                "any other error, such as a tag that is there, or something not supported"
            }
            Exit::Usage => "the arguments are wrong, or fit several images",
            Exit::NotFound => "an image, repository, blob or file does not exist",
            Exit::NotAllowed => "the registry wants credentials, other ones, or a right",
            Exit::Network => "the registry was not reached, is not trusted, or broke off",
            Exit::Registry => "the registry refused the request, failed, or asks to wait",
            Exit::Content => "content is damaged, or a document or file is malformed",
            Exit::Guarded => "wharf refused, for example to follow a redirect to a private address",
            Exit::Local => "a file or the disk of this machine failed",
        }
    }
}

/// The table as a page of help.
pub(crate) fn page() -> String {
    let mut rows = vec![(0.to_string(), "done")];
    rows.extend(Exit::ALL.map(|exit| ((exit as u8).to_string(), exit.meaning())));
    rows.push((
        "128+N".to_owned(),
        "signal N stopped the command: 130 after Ctrl-C",
    ));
    let lines = rows
        .iter()
        .map(|(code, what)| format!("  {code:<6} {what}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes = Exit::ALL.map(|exit| exit as u8);
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn the_kind_of_an_error_decides() {
        for (kind, expected) in [
            (ErrorKind::Ambiguous, Exit::Usage),
            (ErrorKind::NotFound, Exit::NotFound),
            (ErrorKind::Unauthorized, Exit::NotAllowed),
            (ErrorKind::Denied, Exit::NotAllowed),
            (ErrorKind::Unreachable, Exit::Network),
            (ErrorKind::Rejected, Exit::Registry),
            (ErrorKind::Corrupt, Exit::Content),
            (ErrorKind::Refused, Exit::Guarded),
            (ErrorKind::NoSpace, Exit::Local),
            (ErrorKind::Unsupported, Exit::Failed),
        ] {
            assert_eq!(Exit::of(&Error::new(kind, "x")), expected);
        }
    }

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../../README.md");
        for line in page().lines() {
            let (code, what) = line.trim().split_once(' ').unwrap();
            let row = format!("| {code} | {} |", what.trim());
            assert!(readme.contains(&row), "{row}");
        }
    }
}
