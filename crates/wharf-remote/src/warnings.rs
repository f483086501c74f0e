//! What registries want their users to know: `Warning` headers (distribution-spec: "Warnings").

use std::fmt;

use wharf_core::sync::Lock;
use wharf_oci::{Printable, Registry};

/// The most warnings that a client keeps.
const MOST: usize = 20;

/// The most characters of a text.
const LONG: usize = 500;

/// A warning that a registry sent with an answer. Its text is the registry's: `Display` escapes
/// what would control a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryWarning {
    /// The registry.
    pub registry: Registry,
    /// Its words, at most 500 characters.
    pub text: String,
}

impl fmt::Display for RegistryWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.registry, Printable(&self.text, LONG))
    }
}

/// The warnings of all registries: each once, and not more than a bound.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Lock<Vec<RegistryWarning>>);

impl Warnings {
    /// Adds those of a header of an answer.
    pub(crate) fn note(&self, registry: &Registry, header: &str) {
        let mut known = self.0.lock();
        for text in texts(header) {
            let warning = RegistryWarning {
                registry: registry.clone(),
                text,
            };
            if known.len() < MOST && !known.contains(&warning) {
                known.push(warning);
            }
        }
    }

    /// All so far, in the order in which they arrived.
    pub(crate) fn all(&self) -> Vec<RegistryWarning> {
        self.0.lock().clone()
    }
}

/// The texts of a header with the code 299, the only one that registries may use. What follows a
/// malformed value is dropped.
pub(crate) fn texts(header: &str) -> Vec<String> {
    let mut rest = header;
    let mut texts = Vec::new();
    while let Some((code, text, after)) = value(rest) {
        let text: String = text.trim().chars().take(LONG).collect();
        if code == "299" && !text.is_empty() {
            texts.push(text);
        }
        rest = after;
    }
    texts
}

/// The next value of a list: its code, its text, and what follows (RFC 7234, section 5.5).
fn value(list: &str) -> Option<(&str, String, &str)> {
    let list = list.trim_start_matches([',', ' ', '\t']);
    let (code, rest) = list.split_once(' ')?;
    let (_agent, rest) = rest.trim_start().split_once(' ')?;
    let (text, rest) = quoted(rest.trim_start())?;
    // A date may follow.
    let rest = match quoted(rest.trim_start()) {
        Some((_, rest)) => rest,
        None => rest,
    };
    Some((code, text, rest))
}

/// A quoted string without its quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut letters = text.strip_prefix('"')?.char_indices();
    let mut content = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((content, text.get(at + 2..)?)),
            '\\' => content.push(letters.next()?.1),
            letter => content.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn p5_texts_with_the_code_299_are_warnings() {
        for (header, expected) in [
            (
                r#"299 - "Your token expires in 30 seconds.""#,
                &["Your token expires in 30 seconds."][..],
            ),
            (
                r#"299 - "a", 299 - "b, \"c\"" "Wed, 21 Oct 2015 07:28:00 GMT" ,199 x "d",299 - "e""#,
                &["a", r#"b, "c""#, "e"],
            ),
            (r#"110 anderson/1.3.37 "Response is stale""#, &[]),
            (r#"299 - """#, &[]),
            ("299 - unquoted", &[]),
            (r#"299 - "open"#, &[]),
            (r#"299 "no agent""#, &[]),
            ("", &[]),
        ] {
            assert_eq!(texts(header), expected, "{header}");
        }
    }

    #[test]
    fn p5_each_is_kept_once_and_not_too_many() {
        let (warnings, registry) = (Warnings::default(), "r.example".parse().unwrap());
        for number in 0..50 {
            warnings.note(&registry, &format!("299 - \"{}\"", number / 2));
        }
        let all = warnings.all();
        assert_eq!(all.len(), MOST);
        assert_eq!(all.last().unwrap().text, "19");
        let other: Registry = "other.example".parse().unwrap();
        let warnings = Warnings::default();
        warnings.note(&registry, "299 - \"x\u{1b}[2J\"");
        warnings.note(&other, "299 - \"x\"");
        assert_eq!(
            warnings
                .all()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            [r"r.example: x\u{1b}[2J", "other.example: x"]
        );
    }

    proptest! {
        #[test]
        fn p5_any_header_is_read_within_bounds(header in "[ -~é]{0,80}") {
            for text in texts(&header) {
                prop_assert!(!text.is_empty() && text.chars().count() <= LONG);
            }
        }

        #[test]
        fn p5_a_text_is_read_as_it_was_written(text in "[a-z\"\\\\,é][ -~é]{0,40}[a-z]") {
            let quoted = text.replace('\\', r"\\").replace('"', "\\\"");
            prop_assert_eq!(texts(&format!("299 - \"{quoted}\"")), [text]);
        }
    }
}
