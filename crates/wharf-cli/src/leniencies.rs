//! What the user hears when --insecure made a difference: one line for each host.

use indicatif::MultiProgress;
use wharf::remote::{Leniency, LeniencyObserver};

use crate::printer::Printer;

/// Says it.
#[derive(Debug)]
pub(crate) struct Leniencies {
    /// Who says it.
    pub(crate) printer: Printer,
    /// All bars of the command.
    pub(crate) bars: MultiProgress,
}

impl LeniencyObserver for Leniencies {
    fn on_leniency(&self, host: &str, leniency: Leniency) {
        let what = match leniency {
            Leniency::PlainHttp => "spoken to over plain http",
            _ => "its certificate is not trusted",
        };
        let line = format!("warning: {host}: {what}, as --insecure allows");
        self.printer.say_above(&self.bars, &line);
    }
}
