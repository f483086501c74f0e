//! Prints the number of requests at the end of a command (wire.md P4).

use wharf::remote::Client;

use crate::flags::Moving;
use crate::json_line::JsonLine;
use crate::printer::{Printer, Voice};

/// Prints the requests of `client` by kind, if requested.
pub(crate) fn say(printer: &Printer, moving: &Moving, client: &Client) {
    if !moving.stats {
        return;
    }
    let requests = client.requests();
    if printer.voice() != Voice::Json {
        return printer.say(&requests.to_string());
    }
    let line = JsonLine::new("event", "requests").number("total", requests.total());
    let by_kind = requests.by_class.iter();
    let line = by_kind.fold(line, |line, (class, count)| {
        line.number(&class.to_string(), *count)
    });
    printer.event(line);
}
