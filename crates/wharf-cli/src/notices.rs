//! Notices for the user during requests: one line each, above the bars if there are any.

use std::time::Duration;

use wharf::Error;
use wharf::credentials::CredentialsObserver;
use wharf::remote::{Leniency, LeniencyObserver, PauseObserver, RegistryWarning};

use crate::printer::Printer;

/// Prints notices.
#[derive(Debug)]
pub(crate) struct Notices {
    printer: Printer,
}

impl Notices {
    /// Notices on `printer`.
    pub(crate) fn new(printer: Printer) -> Self {
        Notices { printer }
    }
}

impl PauseObserver for Notices {
    fn on_pause(&self, host: &str, wait: Duration) {
        let line = format!("{host} asks to wait {}", rounded(wait));
        self.printer.say(&line);
    }
}

impl LeniencyObserver for Notices {
    fn on_leniency(&self, host: &str, leniency: Leniency) {
        let what = match leniency {
            Leniency::PlainHttp => "using plain http",
            _ => "its certificate is not trusted",
        };
        let line = format!("warning: {host}: {what}, as --insecure allows");
        self.printer.say(&line);
    }
}

impl CredentialsObserver for Notices {
    fn on_failure(&self, error: &Error) {
        self.printer.say(&format!("warning: {error}"));
    }
}

/// Says what registries wanted their users to know, once.
pub(crate) fn registry_warnings(
    printer: &Printer,
    warnings: impl Iterator<Item = RegistryWarning>,
) {
    let mut said = Vec::new();
    for warning in warnings {
        if !said.contains(&warning) {
            printer.say(&format!("warning: {warning}"));
            said.push(warning);
        }
    }
}

/// Names the names of an image at its source under which it is not pushed.
pub(crate) fn other_names(printer: &Printer, names: &[&str]) {
    if names.is_empty() {
        return;
    }
    let names: Vec<String> = names
        .iter()
        .map(|name| name.escape_debug().to_string())
        .collect();
    let names = names.join(", ");
    printer.say(&format!(
        "not pushed under its other names: {names}; --all pushes every image under its own names"
    ));
}

/// Whole seconds, rounded up.
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
