//! Lists of referrers, a page at a time.

use wharf_core::{Error, Result};
use wharf_oci::{Descriptor, Digest, MediaType};

/// Which referrers are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrersQuery {
    /// The manifest that they point at; it need not be there.
    pub subject: Digest,
    /// Only those of this artifact type, letter by letter; those without one where it is empty.
    pub artifact_type: Option<String>,
    /// Only those after this one, in the order of digests.
    pub after: Option<Digest>,
    /// So many bytes of JSON at most, but one descriptor always.
    pub most: u64,
}

/// Referrers in the order of their digests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReferrersPage {
    /// Their descriptors, with artifact type and annotations.
    pub descriptors: Vec<Descriptor>,
    /// Whether there are more after these.
    pub more: bool,
}

impl ReferrersQuery {
    /// All referrers of a subject, on one page.
    pub fn all(subject: Digest) -> Self {
        ReferrersQuery {
            subject,
            artifact_type: None,
            after: None,
            most: u64::MAX,
        }
    }

    /// Fills a page. `candidates` are the digests of all referrers, in any order; `load` gives
    /// the descriptor of one, or nothing where it is gone.
    pub(super) fn page(
        &self,
        mut candidates: Vec<Digest>,
        load: impl Fn(&Digest) -> Result<Option<Descriptor>>,
    ) -> Result<ReferrersPage> {
        candidates.retain(|digest| self.after.as_ref().is_none_or(|after| digest > after));
        candidates.sort_unstable();
        let (mut page, mut size) = (ReferrersPage::default(), 0);
        for digest in candidates {
            let Some(descriptor) = load(&digest)?.filter(|found| self.wants(found)) else {
                continue;
            };
            // The comma between two counts too.
            size += json_size(&descriptor)? + 1;
            if size > self.most && !page.descriptors.is_empty() {
                page.more = true;
                break;
            }
            page.descriptors.push(descriptor);
        }
        Ok(page)
    }

    fn wants(&self, descriptor: &Descriptor) -> bool {
        let Some(wanted) = &self.artifact_type else {
            return true;
        };
        let found = descriptor.artifact_type.as_ref();
        found.map_or("", MediaType::as_str) == wanted
    }
}

fn json_size(descriptor: &Descriptor) -> Result<u64> {
    let json = serde_json::to_vec(descriptor)
        .map_err(|error| Error::from(std::io::Error::other(error)))?;
    Ok(json.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(digest: &Digest) -> Result<Option<Descriptor>> {
        let media_type = MediaType::OCI_IMAGE_MANIFEST;
        Ok(Some(Descriptor::new(media_type, digest.clone(), 1)))
    }

    #[test]
    fn pages_together_are_the_whole_list_in_order() {
        let mut all: Vec<_> = (0u8..10).map(|byte| Digest::of(&[byte])).collect();
        let one = json_size(&found(&Digest::of(b"")).unwrap().unwrap()).unwrap() + 1;
        for (most, pages) in [(0, 10), (one, 10), (3 * one, 4), (10 * one, 1)] {
            let mut query = ReferrersQuery {
                most,
                ..ReferrersQuery::all(Digest::of(b"subject"))
            };
            let (mut listed, mut count) = (Vec::new(), 0);
            loop {
                let page = query.page(all.clone(), found).unwrap();
                listed.extend(page.descriptors.into_iter().map(|found| found.digest));
                count += 1;
                if !page.more {
                    break;
                }
                query.after = listed.last().cloned();
            }
            all.sort_unstable();
            assert_eq!(listed, all);
            assert_eq!(count, pages, "{most} bytes");
        }
    }
}
