//! The errors that a registry reports. distribution-spec: "Error Codes".

use std::fmt;

use serde_json::Value;

use crate::text::Printable;

/// The errors in a registry's answer. `Display` is one bounded line without control characters.
///
/// ```
/// use wharf_oci::Diagnostic;
/// let body = br#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#;
/// assert_eq!(Diagnostic::parse(body).unwrap().to_string(), "NAME_UNKNOWN: no such repository");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The errors, at least one.
    pub errors: Vec<DiagnosticEntry>,
}

/// One error of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticEntry {
    /// A code for programs, `BLOB_UNKNOWN`; empty when there was none.
    pub code: String,
    /// A message for people; empty when there was none.
    pub message: String,
    /// Anything else, null when there was nothing.
    pub detail: Value,
}

impl Diagnostic {
    /// Reads the body of an answer: `{"errors":[{"code":…,"message":…,"detail":…}]}`.
    ///
    /// Tolerant, because many registries are sloppy: an entry may lack any of its fields. `None`
    /// when the body is something else, or lists no error.
    pub fn parse(body: &[u8]) -> Option<Diagnostic> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let errors: Vec<_> = body
            .get("errors")?
            .as_array()?
            .iter()
            .filter_map(entry)
            .collect();
        (!errors.is_empty()).then_some(Diagnostic { errors })
    }

    /// The code of each error.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(|error| error.code.as_str())
    }
}

fn entry(value: &Value) -> Option<DiagnosticEntry> {
    let fields = value.as_object()?;
    let text = |key| {
        fields
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some(DiagnosticEntry {
        code: text("code"),
        message: text("message"),
        detail: fields.get("detail").cloned().unwrap_or(Value::Null),
    })
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().take(ENTRIES_SHOWN).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        match self.errors.len().saturating_sub(ENTRIES_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl fmt::Display for DiagnosticEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = Printable(&self.code, CODE_SHOWN);
        let message = Printable(&self.message, TEXT_SHOWN);
        match (self.code.is_empty(), self.message.is_empty()) {
            (false, false) => write!(f, "{code}: {message}")?,
            (false, true) => write!(f, "{code}")?,
            (true, false) => write!(f, "{message}")?,
            (true, true) => f.write_str("no code and no message")?,
        }
        match &self.detail {
            Value::Null => Ok(()),
            Value::String(text) if text.is_empty() => Ok(()),
            Value::String(text) => write!(f, " ({})", Printable(text, TEXT_SHOWN)),
            Value::Array(list) if list.is_empty() => Ok(()),
            Value::Object(fields) if fields.is_empty() => Ok(()),
            other => write!(f, " ({})", Printable(&other.to_string(), TEXT_SHOWN)),
        }
    }
}

const ENTRIES_SHOWN: usize = 4;
const CODE_SHOWN: usize = 64;
const TEXT_SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(body: &str) -> String {
        Diagnostic::parse(body.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn code_message_and_detail_are_shown() {
        let body = r#"{"errors":[{"code":"DENIED","message":"no","detail":{"a":1}},{"code":"UNKNOWN","detail":"why"}]}"#;
        assert_eq!(shown(body), r#"DENIED: no ({"a":1}); UNKNOWN (why)"#);
        let diagnostic = Diagnostic::parse(body.as_bytes()).unwrap();
        assert_eq!(
            diagnostic.codes().collect::<Vec<_>>(),
            ["DENIED", "UNKNOWN"]
        );
    }

    #[test]
    fn sloppy_entries_are_taken_as_they_are() {
        assert_eq!(
            shown(r#"{"errors":[{"status":404,"message":"gone","detail":""}]}"#),
            "gone"
        );
        assert_eq!(
            shown(r#"{"errors":[{"code":7}]}"#),
            "no code and no message"
        );
        assert_eq!(
            shown(r#"{"errors":["text",{"code":"X","detail":[]}]}"#),
            "X"
        );
    }

    #[test]
    fn what_is_no_error_body_is_none() {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"errors":[]}"#,
            r#"{"errors":{}}"#,
            r#"{"errors":["x"]}"#,
        ] {
            assert_eq!(Diagnostic::parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn long_lists_and_terminal_codes_are_tamed() {
        let entry = r#"{"code":"A","message":"\u001b[2Jx\ny"}"#;
        let body = format!(r#"{{"errors":[{}]}}"#, [entry; 6].join(","));
        let one = r"A: \u{1b}[2Jx\ny";
        assert_eq!(shown(&body), format!("{}; and 2 more", [one; 4].join("; ")));
    }

    proptest! {
        #[test]
        fn one_bounded_line_whatever_is_said(code: String, message in ".{0,2000}", detail in "\\PC{0,2000}", count in 1usize..9) {
            let entry = serde_json::json!({"code": code, "message": message, "detail": detail});
            let body = serde_json::json!({"errors": vec![entry; count]}).to_string();
            let shown = Diagnostic::parse(body.as_bytes()).unwrap().to_string();
            prop_assert!(!shown.contains(char::is_control));
            // Each character may take ten when it is escaped.
            prop_assert!(shown.chars().count() < ENTRIES_SHOWN * (CODE_SHOWN + 2 * TEXT_SHOWN + 10) * 10);
        }

        #[test]
        fn any_bytes_are_parsed_or_none(body: Vec<u8>) {
            let _ = Diagnostic::parse(&body);
        }
    }
}
