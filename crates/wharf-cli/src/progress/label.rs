//! The prefix of lines for people when several copies are shown at once.

/// The name of a destination, or nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label(Option<String>);

impl Label {
    /// The name of a destination.
    pub(crate) fn of(destination: &str) -> Self {
        Label(Some(destination.to_owned()))
    }

    /// `line` with the label as prefix.
    pub(crate) fn before(&self, line: &str) -> String {
        match &self.0 {
            Some(name) => format!("{name}: {line}"),
            None => line.to_owned(),
        }
    }
}
