//! Finds referrers in sources without a list of them: reads every manifest.

use std::collections::HashSet;

use wharf_oci::{Descriptor, Digest, Manifest, Role};

use super::Source;
use crate::{Error, ErrorKind, Result};

/// The most manifests to read.
const MOST: usize = 100_000;

/// The manifests among `roots` and below them that have the subject `subject`.
///
/// # Errors
/// The source's error; [`ErrorKind::Invalid`] if there are too many manifests.
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
