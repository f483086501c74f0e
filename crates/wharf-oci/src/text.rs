//! Makes foreign text fit into one line of an error: bounded, and without control characters.

use std::fmt;
use std::fmt::Write as _;

/// Text between quotes, escaped and cut after [`QUOTE_LIMIT`] characters.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(f, "{}", Printable(self.0, QUOTE_LIMIT))?;
        f.write_char('"')
    }
}

/// Foreign text that fits into one line of a terminal. Escapes characters that move the cursor or
/// turn the text direction, and cuts off what exceeds this many characters.
///
/// ```
/// use wharf_oci::Printable;
/// assert_eq!(Printable("a\u{1b}[2J\nb", 100).to_string(), r"a\u{1b}[2J\nb");
/// assert_eq!(Printable("abc", 2).to_string(), "ab…");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str, pub usize);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(self.1) {
            if is_dangerous(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        if characters.next().is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

/// What a JSON parser says, in one bounded line. Its limit is said to be one.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let said = said.replace(
        "recursion limit exceeded",
        "nested deeper than the limit of 128 levels",
    );
    Printable(&said, QUOTE_LIMIT).to_string()
}

/// Whether a character may move a terminal's cursor or turn the direction of its text.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

const QUOTE_LIMIT: usize = 300;

/// A number of digits only, as headers and queries have them. The parser of the standard library also
/// accepts `+5`.
///
/// ```
/// assert_eq!(wharf_oci::digits("42"), Some(42));
/// assert_eq!(wharf_oci::digits("+42"), None);
/// assert_eq!(wharf_oci::digits(""), None);
/// ```
pub fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        let shown = Quoted("a\u{1b}[2J\n\u{202e}b").to_string();
        assert_eq!(shown, r#""a\u{1b}[2J\n\u{202e}b""#);
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(Printable("äöü", 2).to_string(), "äö…");
        assert_eq!(Printable("äöü", 3).to_string(), "äöü");
    }
}
