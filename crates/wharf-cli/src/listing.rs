//! Describes an image in a few lines for people.

use wharf::Result;
use wharf::store::Source;
use wharf_oci::{Descriptor, Role};

use crate::units::{bytes, short};

/// One line for the manifest and one for each thing it links to.
///
/// # Errors
/// If the manifest cannot be read.
pub(crate) async fn lines(source: &dyn Source, root: &Descriptor) -> Result<Vec<String>> {
    let manifest = source.manifest(root).await?;
    let kind = if root.media_type.is_index() {
        "index"
    } else {
        "manifest"
    };
    let mut lines = vec![line(kind, manifest.descriptor())];
    for link in manifest.links() {
        lines.push(line(word(link.role), &link.descriptor));
    }
    Ok(lines)
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Config => "config",
        Role::Layer => "layer",
        Role::Child => "child",
        Role::Blob => "blob",
    }
}

fn line(word: &str, descriptor: &Descriptor) -> String {
    let (digest, size) = (short(&descriptor.digest), bytes(descriptor.size));
    let platform = descriptor
        .platform
        .as_ref()
        .map(|platform| format!("  {platform}"))
        .unwrap_or_default();
    format!(
        "  {word:<8}  {digest}  {size:>8}  {}{platform}",
        descriptor.media_type
    )
}
