//! The order of work: large blobs first, and linked manifests before those that link to them.

use std::collections::{BTreeMap, HashMap};

use wharf_oci::{Descriptor, Digest, Manifest};

use crate::{Error, ErrorKind, Result};

/// The blobs by size, the largest first.
pub(super) fn largest_first(blobs: &HashMap<Digest, Descriptor>) -> Vec<Descriptor> {
    let mut blobs: Vec<Descriptor> = blobs.values().cloned().collect();
    blobs.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    blobs
}

/// Groups manifests so that each links to manifests of earlier groups only.
pub(super) fn by_height(manifests: HashMap<Digest, Manifest>) -> Result<Vec<Vec<Manifest>>> {
    let mut heights: HashMap<Digest, usize> = HashMap::new();
    // Each round settles every manifest with settled children: at least one, because a cycle of
    // digests cannot exist.
    while heights.len() < manifests.len() {
        let settled = heights.len();
        let mut round = Vec::new();
        for (digest, manifest) in manifests
            .iter()
            .filter(|(digest, _)| !heights.contains_key(*digest))
        {
            let links = manifest.links();
            let below = links.iter().map(|link| &link.descriptor.digest);
            let mut below = below.filter(|child| manifests.contains_key(*child));
            let height =
                below.try_fold(0, |height, child| Some(height.max(heights.get(child)? + 1)));
            round.extend(height.map(|height| (digest.clone(), height)));
        }
        heights.extend(round);
        if heights.len() == settled {
            return Err(Error::new(
                ErrorKind::Invalid,
                "manifests that refer to each other in a circle",
            ));
        }
    }
    let mut groups: BTreeMap<usize, Vec<Manifest>> = BTreeMap::new();
    for (digest, manifest) in manifests {
        groups
            .entry(heights.get(&digest).copied().unwrap_or_default())
            .or_default()
            .push(manifest);
    }
    Ok(groups.into_values().collect())
}
