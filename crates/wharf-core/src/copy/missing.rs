//! Content that the source of a copy lacks: all of it is looked for before a message names it.

use wharf_oci::Descriptor;

use crate::store::Source;
use crate::{Error, ErrorKind, Result, Side};

/// The most contents that a message names.
const MOST_NAMED: usize = 10;

const BY_PLATFORM: &str = "one image of an index can be taken by its platform (--platform)";

/// What the source lacks.
#[derive(Debug, Default)]
pub(super) struct Missing {
    first: Option<Error>,
    names: Vec<String>,
    count: usize,
    /// Whether children of an index are among it.
    children: bool,
}

/// What some missing content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A manifest that an index lists.
    Child,
    /// A config, a layer, or other content.
    Blob,
}

impl Missing {
    /// Notes that `descriptor` is missing, as `error` says.
    pub(super) fn add(&mut self, kind: Kind, descriptor: &Descriptor, error: Error) {
        let what = match kind {
            Kind::Child => "manifest",
            Kind::Blob => "blob",
        };
        if self.names.len() < MOST_NAMED {
            let platform = descriptor.platform.as_ref();
            let platform = platform.map(|platform| format!(" ({platform})"));
            let platform = platform.unwrap_or_default();
            self.names
                .push(format!("{what} {}{platform}", descriptor.digest));
        }
        self.count += 1;
        self.children |= kind == Kind::Child;
        self.first.get_or_insert(error);
    }

    /// # Errors
    /// [`ErrorKind::NotFound`] if something is missing, naming the first of it and how much.
    pub(super) fn judge(&mut self, source: &dyn Source) -> Result<()> {
        let Some(first) = self.first.take() else {
            return Ok(());
        };
        if self.count == 1 {
            // What a registry says has parts that a program may look at.
            let hinted = self.children && first.status().is_none();
            let first = match hinted {
                true => Error::new(ErrorKind::NotFound, format!("{first}; {BY_PLATFORM}")),
                false => first,
            };
            return Err(first.side(Side::Source));
        }
        let mut said = format!(
            "{} contents are missing: {}",
            self.count,
            self.names.join(", ")
        );
        if let more @ 1.. = self.count - self.names.len() {
            said.push_str(&format!(", and {more} more"));
        }
        if self.children {
            said.push_str("; ");
            said.push_str(BY_PLATFORM);
        }
        let error = Error::new(ErrorKind::NotFound, said).side(Side::Source);
        Err(match source.place() {
            Some(place) => error.target(place),
            None => error,
        })
    }
}
