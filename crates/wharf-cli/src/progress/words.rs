//! Lines about single blobs, for people.

use wharf::copy::{Retry, Subject};
use wharf::layer::PendingLayer;
use wharf_oci::Descriptor;

use crate::hints;
use crate::units::{bytes, kind, seconds, short};

/// The name of an event's subject in lines.
pub(super) fn subject(subject: Subject<'_>) -> String {
    match subject {
        Subject::Content(descriptor) => name(descriptor),
        Subject::Layer(layer) => layer_name(layer),
    }
}

/// The name of a blob: `layer sha256:df176e10389e`.
fn name(descriptor: &Descriptor) -> String {
    let digest = short(&descriptor.digest);
    format!("{:<8}  {digest}", kind(&descriptor.media_type))
}

/// The name of a layer without a digest: its diff id, else its input.
fn layer_name(layer: &PendingLayer) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    let name = layer.diff_id().map(short);
    let name = name.unwrap_or_else(|| layer.name().chars().map(plain).collect());
    format!("layer     {name}")
}

/// A blob or manifest that is in the store.
pub(super) fn finished(descriptor: &Descriptor, state: &str) -> String {
    let size = bytes(descriptor.size);
    format!("{}  {size:>8}  {state}", name(descriptor))
}

/// A try that failed, and the wait before the next.
pub(super) fn retried(name: &str, again: &Retry<'_>) -> String {
    format!(
        "{name}  try {} in {}: {}",
        again.tries.saturating_add(1),
        seconds(again.wait),
        hints::line(again.error)
    )
}
