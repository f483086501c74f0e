//! What the user sees when a registry asks to wait: one line, above the bars if there are any.

use std::time::Duration;

use indicatif::MultiProgress;
use wharf::remote::PauseObserver;

use crate::printer::Printer;

/// Says it.
#[derive(Debug)]
pub(crate) struct Pauses {
    /// Who says it.
    pub(crate) printer: Printer,
    /// All bars of the command.
    pub(crate) bars: MultiProgress,
}

impl PauseObserver for Pauses {
    fn on_pause(&self, host: &str, wait: Duration) {
        let line = format!("{host} asks to wait {}", rounded(wait));
        self.printer.say_above(&self.bars, &line);
    }
}

/// Whole seconds, never fewer than there are.
fn rounded(wait: Duration) -> String {
    format!("{} s", wait.as_millis().div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r2_waits_are_told_in_whole_seconds() {
        assert_eq!(rounded(Duration::from_secs(30)), "30 s");
        assert_eq!(rounded(Duration::from_millis(600)), "1 s");
    }
}
