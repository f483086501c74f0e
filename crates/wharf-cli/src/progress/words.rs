//! Lines about single blobs, for people.

use wharf::copy::Retry;
use wharf_oci::{Descriptor, Digest};

use crate::hints;
use crate::units::{bytes, kind, seconds, short};

/// What a blob is called: `layer     sha256:df176e10389e`.
pub(super) fn name(descriptor: &Descriptor) -> String {
    let digest = short(&descriptor.digest);
    format!("{:<8}  {digest}", kind(&descriptor.media_type))
}

/// A layer that has only a diff id yet.
pub(super) fn layer_name(diff_id: &Digest) -> String {
    format!("layer     {}", short(diff_id))
}

/// A blob or manifest that came to its end.
pub(super) fn finished(descriptor: &Descriptor, state: &str) -> String {
    let size = bytes(descriptor.size);
    format!("{}  {size:>8}  {state}", name(descriptor))
}

/// A try that was given up.
pub(super) fn retried(name: &str, again: &Retry<'_>) -> String {
    format!(
        "{name}  try {} in {}: {}",
        again.tries.saturating_add(1),
        seconds(again.wait),
        hints::line(again.error)
    )
}
