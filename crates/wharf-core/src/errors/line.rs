//! Formats an error as one line for people.

use std::borrow::Cow;
use std::fmt;

use wharf_oci::{Diagnostic, Digest, Printable};

use super::detail::Detail;
use super::error::Error;

/// Foreign text cannot break the line or control a terminal.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_line(&mut text)?;
        write!(f, "{}", Printable(&text, usize::MAX))
    }
}

impl Error {
    /// Whether the registry said just that no manifest has this name. The first target is the
    /// endpoint then.
    fn is_plainly_absent(&self) -> bool {
        let known = |diagnostic: &Diagnostic| {
            let mut entries = diagnostic.errors.iter();
            entries.all(|entry| entry.code == "MANIFEST_UNKNOWN")
        };
        matches!(self.0.detail, Some(Detail::Absent))
            && self.0.diagnostic.as_ref().is_some_and(known)
    }

    fn write_line(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let plain = self.is_plainly_absent();
        for target in self.0.targets.iter().skip(usize::from(plain)).rev() {
            write!(f, "{}: ", cut(target))?;
        }
        f.write_str(&cut(&self.0.message))?;
        if let Some(diagnostic) = self.0.diagnostic.as_ref().filter(|_| !plain) {
            write!(f, ": {diagnostic}")?;
        }
        match self.0.page.as_deref() {
            None => {}
            Some("") => f.write_str(", with a web page")?,
            Some(title) => write!(f, ", with a web page: \"{title}\"")?,
        }
        match &self.0.detail {
            Some(Detail::Refusal(refusal)) => write!(f, "; {refusal}")?,
            Some(Detail::Lost(content)) => write_lost(f, content)?,
            _ => {}
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> =
            self.0.source.as_deref().map(|error| error as _);
        let mut said = String::new();
        while let Some(error) = cause {
            // Many errors repeat the text of their source in their own.
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said.push_str(&text);
            }
            cause = error.source();
        }
        for other in &self.0.others {
            write!(f, "; {}", cut(other))?;
        }
        if self.0.tries > 1 {
            write!(f, " (after {} tries)", self.0.tries)?;
        }
        Ok(())
    }
}

/// The most digests in a line.
const DIGESTS: usize = 3;

fn write_lost(f: &mut impl fmt::Write, content: &[Digest]) -> fmt::Result {
    if content.is_empty() {
        return f.write_str("; it says that it has all content of this manifest");
    }
    let named: Vec<String> = content
        .iter()
        .take(DIGESTS)
        .map(Digest::to_string)
        .collect();
    write!(
        f,
        "; after all was sent it does not have {}",
        named.join(", ")
    )?;
    match content.len().saturating_sub(DIGESTS) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// Characters of a part of a line. Text from a registry may have any length.
const LONG: usize = 1000;

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f.debug_tuple("Error").field(&self.0).finish();
        }
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn prints_targets_outermost_first_and_the_tries() {
        let error = Error::new(ErrorKind::Server, "500 Internal Server Error")
            .target("PUT /v2/a/blobs/uploads/1")
            .target("localhost:5000/a")
            .tries(5);
        assert_eq!(
            error.to_string(),
            "localhost:5000/a: PUT /v2/a/blobs/uploads/1: 500 Internal Server Error (after 5 tries)"
        );
    }

    #[test]
    fn fault_c18_a_missing_tag_is_named_without_the_registrys_words_for_that() {
        let absent = |body: &str| {
            let diagnostic = Diagnostic::parse(body.as_bytes());
            let error = Error::new(ErrorKind::NotFound, "no tag nope").absent();
            let error = error.answer(404, diagnostic);
            let error = error.target("HEAD /v2/hello/manifests/nope");
            error.target("localhost:5000/hello").to_string()
        };
        let code = |code| {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"not known"}}]}}"#);
            absent(&body)
        };
        assert_eq!(
            code("MANIFEST_UNKNOWN"),
            "localhost:5000/hello: no tag nope"
        );
        let start = "localhost:5000/hello: HEAD /v2/hello/manifests/nope: no tag nope";
        assert_eq!(
            code("NAME_UNKNOWN"),
            format!("{start}: NAME_UNKNOWN: not known")
        );
        assert_eq!(absent(""), start);
    }

    #[test]
    fn a_main_that_returns_it_says_kind_and_line() {
        let name = "Foo".parse::<wharf_oci::Reference>().map_err(Error::from);
        let error = name.unwrap_err();
        assert_eq!(format!("{error:?}"), format!("Invalid: {error}"));
        assert!(format!("{error:#?}").contains("transient: None"));
    }

    #[test]
    fn foreign_text_is_one_line_that_steers_nothing() {
        let inner = std::io::Error::other("c\rd");
        let error = Error::new(ErrorKind::Invalid, "a\n\u{1b}[2Jb")
            .target("x\u{202e}y")
            .source(inner);
        assert_eq!(error.to_string(), r"x\u{202e}y: a\n\u{1b}[2Jb: c\rd");
    }

    #[test]
    fn a_line_has_an_end_whatever_it_is_about() {
        let error = Error::new(ErrorKind::Rejected, "no").target("é".repeat(60_000));
        let text = error.to_string();
        assert!(
            text.ends_with("é…: no") && text.len() < 2100,
            "{}",
            text.len()
        );
    }

    #[test]
    fn does_not_repeat_a_cause_that_its_wrapper_printed() {
        let inner = std::io::Error::other("cut");
        let error = Error::new(ErrorKind::Interrupted, "connection broke").source(inner);
        assert_eq!(error.to_string(), "connection broke: cut");
    }
}
