//! Lines about single blobs, for people.

use wharf::copy::Retry;
use wharf::layer::PendingLayer;
use wharf_oci::Descriptor;

use crate::hints;
use crate::units::{bytes, kind, seconds, short};

/// What a blob is called: `layer     sha256:df176e10389e`.
pub(super) fn name(descriptor: &Descriptor) -> String {
    let digest = short(&descriptor.digest);
    format!("{:<8}  {digest}", kind(&descriptor.media_type))
}

/// A layer that has no digest yet: by diff id, else by where it comes from.
pub(super) fn layer_name(layer: &PendingLayer) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    let name = layer.diff_id().map(short);
    let name = name.unwrap_or_else(|| layer.name().chars().map(plain).collect());
    format!("layer     {name}")
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
