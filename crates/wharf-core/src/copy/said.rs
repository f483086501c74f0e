//! What the answers of sources and stores mean.

use wharf_oci::{Descriptor, Digest, Manifest};

use crate::store::Source;
use crate::{Error, ErrorKind, Result, Side};

/// Whether a child is what the index above it says: of its size, and an image where it says image.
pub(super) fn as_promised(
    source: &dyn Source,
    manifest: &Manifest,
    promised: &Descriptor,
) -> Result<()> {
    let kind = |is_index: bool| if is_index { "index" } else { "image" };
    let (is, said) = (
        manifest.media_type().is_index(),
        promised.media_type.is_index(),
    );
    let message = if manifest.size() != promised.size {
        let (has, said) = (manifest.size(), promised.size);
        format!("manifest has {has} bytes, but its index states {said}")
    } else if is != said {
        let (is, said) = (kind(is), kind(said));
        format!("manifest is an {is}, but its index states {said}")
    } else {
        return Ok(());
    };
    let error = Error::new(ErrorKind::Corrupt, message);
    Err(said_by(source, &promised.digest, error))
}

/// The error of a tree that is too large to copy.
pub(super) fn too_much(source: &dyn Source, root: &Digest, what: String) -> Error {
    let error = Error::new(ErrorKind::Invalid, format!("more than {what} below it"));
    said_by(source, root, error)
}

/// The error of content that makes no sense, with where it is from.
pub(super) fn said_by(source: &dyn Source, digest: &Digest, error: Error) -> Error {
    let error = error.target(digest).side(Side::Source);
    match source.place() {
        Some(place) => error.target(place),
        None => error,
    }
}

/// Whether an answer to the question what a tag names is no reason not to set it: there is nothing, or
/// something odd. Some registries answer 403 where there is nothing (wire.md E2; section 11, rule 7).
pub(super) fn says_nothing(error: &Error) -> bool {
    !error.is_transient()
        && match error.kind() {
            ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Rejected => true,
            ErrorKind::Unauthorized => false,
            _ => error.status().is_some(),
        }
}
