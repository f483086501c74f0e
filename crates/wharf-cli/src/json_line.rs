//! One line of JSON for programs: an object with its fields in a fixed order.

use std::fmt::{self, Display};

use serde_json::Value;

/// A JSON object that is being built. Its first field states the kind of line.
#[derive(Clone, Debug)]
pub(crate) struct JsonLine {
    fields: String,
}

impl JsonLine {
    /// A line with the field `key` set to `kind`.
    pub(crate) fn new(key: &str, kind: &str) -> Self {
        let line = JsonLine {
            fields: String::new(),
        };
        line.text(key, kind)
    }

    /// Adds text.
    #[must_use]
    pub(crate) fn text(self, key: &str, value: impl Display) -> Self {
        self.field(key, &Value::String(value.to_string()))
    }

    /// Adds a number.
    #[must_use]
    pub(crate) fn number(self, key: &str, value: u64) -> Self {
        self.field(key, &Value::from(value))
    }

    /// Adds a list of texts.
    #[must_use]
    pub(crate) fn texts<T: Display>(self, key: &str, values: &[T]) -> Self {
        let texts = values.iter().map(|value| Value::String(value.to_string()));
        self.field(key, &Value::Array(texts.collect()))
    }

    fn field(mut self, key: &str, value: &Value) -> Self {
        if !self.fields.is_empty() {
            self.fields.push(',');
        }
        let field = format!("{}:{value}", Value::String(key.to_owned()));
        self.fields.push_str(&field);
        self
    }
}

impl Display for JsonLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_text_cannot_break_the_line() {
        let line = JsonLine::new("event", "failed")
            .text("error", "a\n\"b\"")
            .texts("tags", &["1", "2"])
            .number("after", 1);
        assert_eq!(
            line.to_string(),
            r#"{"event":"failed","error":"a\n\"b\"","tags":["1","2"],"after":1}"#
        );
    }
}
