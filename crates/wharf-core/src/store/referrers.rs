//! Referrers in sources that keep no list of them: every manifest is looked at.

use std::collections::HashSet;

use wharf_oci::{Descriptor, Digest, Manifest, Role};

use super::Source;
use crate::{Error, ErrorKind, Result};

/// Manifests that are looked at.
const MOST: usize = 100_000;

/// Those of `roots`, and of what is below them, whose subject is `subject`.
///
/// # Errors
/// What the source says; [`ErrorKind::Invalid`] where there is no end to the manifests.
pub(super) async fn below(
    source: &dyn Source,
    roots: Vec<Descriptor>,
    subject: &Digest,
) -> Result<Vec<Descriptor>> {
    let (mut left, mut seen, mut found) = (roots, HashSet::new(), Vec::new());
    while let Some(descriptor) = left.pop() {
        if !descriptor.media_type.is_manifest() || !seen.insert(descriptor.digest.clone()) {
            continue;
        }
        if seen.len() > MOST {
            let message = format!("more than {MOST} manifests to look at for referrers");
            return Err(Error::new(ErrorKind::Invalid, message).target(subject));
        }
        let manifest = source.manifest(&descriptor).await?;
        if refers(&manifest, subject) {
            found.push(manifest.referrer_descriptor());
        }
        let links = manifest.links().into_iter();
        let children = links.filter(|link| link.role == Role::Child);
        left.extend(children.map(|link| link.descriptor));
    }
    found.sort_by(|a, b| a.digest.cmp(&b.digest));
    Ok(found)
}

fn refers(manifest: &Manifest, subject: &Digest) -> bool {
    manifest.subject().is_some_and(|of| of.digest == *subject)
}
