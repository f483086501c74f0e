//! Reports a panic in the form of everything else on standard error.

use std::fmt::Display;
use std::panic;

use crate::json_line::JsonLine;
use crate::printer::{Printer, Voice};

/// Makes panics objects if programs read standard error. For people the usual lines stay.
pub(crate) fn watch(printer: &Printer) {
    if printer.voice() != Voice::Json {
        return;
    }
    let printer = printer.clone();
    panic::set_hook(Box::new(move |panic| printer.event(line(panic))));
}

fn line(panic: impl Display) -> JsonLine {
    JsonLine::new("event", "panic").text("text", panic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c14_a_panic_is_an_object_in_one_line() {
        assert_eq!(
            line("panicked at main.rs:1:2:\n\"torn\"").to_string(),
            r#"{"event":"panic","text":"panicked at main.rs:1:2:\n\"torn\""}"#
        );
    }
}
