//! The part of an index that is for some platforms.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::FutureExt;
use futures::future::BoxFuture;
use wharf_oci::{Descriptor, Digest, Index, Manifest, Payload, Platform, attested};

use super::platform::{self, Budget};
use crate::draft::{IndexChild, IndexDraft};
use crate::store::Source;
use crate::{Error, ErrorKind, Result};

/// Indexes within indexes; real ones have two levels.
const DEPTH: usize = 32;

/// An index as it would be with some of its children only.
#[derive(Debug)]
pub(crate) struct SmallerIndex {
    /// The index; the same one if it keeps all children.
    pub(crate) manifest: Manifest,
    /// The indexes below it that are smaller too, children before parents.
    pub(crate) below: Vec<Manifest>,
    /// How many children it keeps.
    pub(crate) kept: usize,
    /// What it leaves out, at any depth.
    pub(crate) left_out: Vec<Digest>,
}

/// Keeps the children of an index that are for one of the wanted platforms, and what builders attest
/// of them. All else stays as it is: order, descriptors, annotations, media type.
///
/// [`NewIndex::keep`](crate::image::NewIndex::keep) is another rule, that of `index filter`: it reads
/// descriptors only, so it enters no index, and it drops attestations and what states no platform.
///
/// # Errors
/// [`ErrorKind::NotFound`] if one of the platforms has no child; names these, and lists those there
/// are.
pub(crate) async fn smaller(
    source: &dyn Source,
    manifest: &Manifest,
    wanted: &[Platform],
) -> Result<SmallerIndex> {
    let mut search = Search {
        source,
        wanted,
        budget: Budget::default(),
        here: Vec::new(),
        kept: HashSet::new(),
        left_out: Vec::new(),
    };
    let part = search.part_of(manifest, DEPTH).await?;
    search.check()?;
    let (manifest, below) = match part {
        Part::Whole => (manifest.clone(), Vec::new()),
        Part::Smaller(index) => {
            let finished = index.finish(&HashMap::new())?;
            (finished.manifest, finished.below)
        }
    };
    let kept = match manifest.payload() {
        Payload::Index(index) => index.manifests.len(),
        _ => 0,
    };
    // One manifest may be there for several platforms.
    let mut left_out = search.left_out;
    left_out.retain(|gone| !search.kept.contains(gone));
    Ok(SmallerIndex {
        manifest,
        below,
        kept,
        left_out,
    })
}

/// A search through an index, and those below it.
struct Search<'a> {
    source: &'a dyn Source,
    wanted: &'a [Platform],
    budget: Budget,
    /// The platforms that there are.
    here: Vec<Platform>,
    kept: HashSet<Digest>,
    left_out: Vec<Digest>,
}

/// What is kept of an index.
enum Part {
    Whole,
    Smaller(Box<IndexDraft>),
}

impl Search<'_> {
    /// # Errors
    /// [`ErrorKind::NotFound`] if a wanted platform is not there.
    fn check(&self) -> Result<()> {
        let lacking = |wanted: &&Platform| !self.here.iter().any(|here| here.matches(wanted));
        let lacking: Vec<&Platform> = self.wanted.iter().filter(lacking).collect();
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(platform::none_for(&listed(lacking), &listed(&self.here))),
        }
    }

    fn part_of<'b>(
        &'b mut self,
        manifest: &'b Manifest,
        depth: usize,
    ) -> BoxFuture<'b, Result<Part>> {
        async move {
            let Payload::Index(index) = manifest.payload() else {
                let message = "neither an index nor an image";
                return Err(Error::new(ErrorKind::Invalid, message).target(manifest.digest()));
            };
            let mut children = Vec::with_capacity(index.manifests.len());
            for child in &index.manifests {
                children.push(self.kept(child, depth).await?);
            }
            keep_attestations(index, &mut children);
            let gone = index.manifests.iter().zip(&children);
            let gone = gone.filter(|(_, kept)| kept.is_none());
            self.left_out
                .extend(gone.map(|(child, _)| child.digest.clone()));
            let stored = |child: &Option<IndexChild>| matches!(child, Some(IndexChild::Stored(_)));
            // An empty index is for no platform.
            let is_whole = !children.is_empty() && children.iter().all(stored);
            let children: Vec<IndexChild> = children.into_iter().flatten().collect();
            self.kept
                .extend(children.iter().filter_map(|child| match child {
                    IndexChild::Stored(child) => Some(child.digest.clone()),
                    IndexChild::Image(..) | IndexChild::Index(..) => None,
                }));
            Ok(match is_whole {
                true => Part::Whole,
                false => Part::Smaller(Box::new(IndexDraft {
                    media_type: manifest.media_type().clone(),
                    children,
                    fields: index.into(),
                })),
            })
        }
        .boxed()
    }

    /// What is kept of a child; `None` if it goes.
    async fn kept(&mut self, child: &Descriptor, depth: usize) -> Result<Option<IndexChild>> {
        let wanted = self.wanted;
        let fits = |here: &Platform| wanted.iter().any(|wanted| here.matches(wanted));
        if platform::may_hold(child, fits) {
            let inner = self.budget.index(self.source, child, depth).await?;
            return Ok(match self.part_of(&inner, depth - 1).await? {
                Part::Whole => Some(IndexChild::Stored(child.clone())),
                Part::Smaller(index) if index.children.is_empty() => None,
                Part::Smaller(index) => Some(IndexChild::Index(child.clone(), *index)),
            });
        }
        let here = platform::runs_on(self.source, child, &mut self.budget.lookups).await?;
        let kept = here.as_ref().is_some_and(fits);
        self.here.extend(here);
        Ok(kept.then(|| IndexChild::Stored(child.clone())))
    }
}

/// The platforms as a list without repetitions.
fn listed<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> String {
    let platforms: BTreeSet<String> = platforms.into_iter().map(Platform::to_string).collect();
    platforms.into_iter().collect::<Vec<_>>().join(", ")
}

/// Keeps what is said about children that are kept.
fn keep_attestations(index: &Index, children: &mut [Option<IndexChild>]) {
    let kept = index.manifests.iter().zip(children.iter());
    let kept = kept.filter(|(_, kept)| kept.is_some());
    let kept: HashSet<String> = kept.map(|(child, _)| child.digest.to_string()).collect();
    for (child, slot) in index.manifests.iter().zip(children) {
        let about = attested(child);
        if slot.is_none() && about.is_some_and(|about| kept.contains(about)) {
            *slot = Some(IndexChild::Stored(child.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use wharf_oci::{ANNOTATION_ATTESTED, MediaType};

    use super::*;
    use crate::store::{Memory, Names, Store};

    async fn put(source: &Memory, document: serde_json::Value) -> Manifest {
        let manifest = Manifest::parse(None, document.to_string().into()).unwrap();
        source.put_manifest(&manifest, Names::Child).await.unwrap();
        manifest
    }

    /// An image that is described with this platform.
    async fn image(source: &Memory, platform: &str) -> Descriptor {
        let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, b"{}".to_vec());
        let document = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_MANIFEST,
            "config": config, "layers": [], "annotations": {"for": platform}});
        Descriptor {
            platform: Some(platform.parse().unwrap()),
            ..put(source, document).await.descriptor().clone()
        }
    }

    fn about(image: &Descriptor, attestation: Descriptor) -> Descriptor {
        let about = (ANNOTATION_ATTESTED.to_owned(), image.digest.to_string());
        Descriptor {
            platform: Some("unknown/unknown".parse().unwrap()),
            annotations: BTreeMap::from([about]),
            ..attestation
        }
    }

    async fn index(source: &Memory, children: &[Descriptor]) -> Manifest {
        let document = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
            "manifests": children, "annotations": {"kept": "yes"}, "new": 1});
        put(source, document).await
    }

    async fn part(source: &Memory, index: &Manifest, wanted: &[&str]) -> Result<SmallerIndex> {
        let wanted: Vec<Platform> = wanted.iter().map(|one| one.parse().unwrap()).collect();
        smaller(source, index, &wanted).await
    }

    #[tokio::test]
    async fn children_for_the_platforms_are_kept_with_their_attestations_and_all_else() {
        let source = Memory::new();
        let mut children = Vec::new();
        for platform in ["linux/amd64", "linux/arm64", "windows/amd64"] {
            children.push(image(&source, platform).await);
        }
        for at in 0..3 {
            let attestation = image(&source, &format!("unknown/a{at}")).await;
            children.push(about(&children[at], attestation));
        }
        let whole = index(&source, &children).await;
        let part = part(&source, &whole, &["windows/amd64", "linux/amd64"]).await;
        let part = part.unwrap();
        let expected = [0, 2, 3, 5].map(|at: usize| children[at].clone());
        assert_eq!(part.kept, expected.len());
        assert_eq!(
            part.left_out,
            [1, 4].map(|at: usize| children[at].digest.clone())
        );
        let Payload::Index(made) = part.manifest.payload() else {
            panic!("{part:?}");
        };
        assert_eq!(made.manifests, expected);
        assert_eq!(made.annotations["kept"], "yes");
        assert_eq!(made.extra["new"], 1);
    }

    #[tokio::test]
    async fn an_index_below_becomes_smaller_too_and_a_whole_one_stays_as_it_is() {
        let source = Memory::new();
        let amd64 = image(&source, "linux/amd64").await;
        let arm64 = image(&source, "linux/arm64").await;
        let inner = index(&source, &[amd64.clone(), arm64.clone()]).await;
        let s390x = image(&source, "linux/s390x").await;
        let listed = Descriptor {
            data: Some("of the whole one".to_owned()),
            ..inner.descriptor().clone()
        };
        let empty = index(&source, &[]).await;
        let children = [listed, s390x.clone(), empty.descriptor().clone()];
        let outer = index(&source, &children[..2]).await;
        let more = index(&source, &children).await;
        let all = ["linux/s390x", "linux/amd64", "linux/arm64"];
        let fewer = part(&source, &more, &all).await.unwrap();
        assert_eq!((fewer.kept, fewer.below.len()), (2, 0));
        assert_eq!(fewer.left_out, [empty.digest().clone()]);
        let some = part(&source, &outer, &["linux/arm64"]).await.unwrap();
        let [made] = some.below.as_slice() else {
            panic!("{some:?}");
        };
        let Payload::Index(written) = some.manifest.payload() else {
            panic!("{some:?}");
        };
        assert_eq!(written.manifests[0], *made.descriptor());
        assert_eq!(some.left_out, [amd64.digest.clone(), s390x.digest]);
        let all = ["linux/amd64", "linux/arm64", "linux/s390x"];
        let all = part(&source, &outer, &all).await.unwrap();
        assert_eq!(
            (all.manifest.digest(), all.below.len()),
            (outer.digest(), 0)
        );
        let none = part(&source, &outer, &["linux/386", "a/b"])
            .await
            .unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        let said = "no image for a/b, linux/386, there is: linux/amd64, linux/arm64, linux/s390x";
        assert_eq!(none.to_string(), said);
        // Each platform of a list is wanted.
        let one = part(&source, &outer, &["linux/s390x", "linux/386"]).await;
        let said = "no image for linux/386, there is: linux/amd64, linux/arm64, linux/s390x";
        assert_eq!(one.unwrap_err().to_string(), said);
    }
}
