//! The part of an index that is for some platforms.

use std::collections::HashSet;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use wharf_oci::{Descriptor, Digest, Index, Manifest, Payload, Platform, compact_json};

use super::platform::{self, Budget};
use crate::store::Source;
use crate::{Error, ErrorKind, Result};

/// The annotation with which builders name the image that an attestation is about.
const ABOUT: &str = "vnd.docker.reference.digest";

/// Indexes within indexes; real ones have two levels.
const DEPTH: usize = 32;

/// An index as it would be with some of its children only.
#[derive(Debug)]
pub(crate) struct SmallerIndex {
    /// The index; the same one if it keeps all children.
    pub(crate) manifest: Manifest,
    /// The indexes below it that are smaller too.
    pub(crate) below: Vec<Manifest>,
    /// The children that it keeps.
    pub(crate) kept: Vec<Descriptor>,
    /// What it leaves out, at any depth.
    pub(crate) left_out: Vec<Digest>,
}

/// Keeps the children of an index that are for one of the wanted platforms, and what builders attest
/// of them. All else stays as it is: order, descriptors, annotations, media type.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no child for any of them; lists the platforms.
pub(crate) async fn smaller(
    source: &dyn Source,
    manifest: &Manifest,
    wanted: &[Platform],
) -> Result<SmallerIndex> {
    let mut budget = Budget::default();
    let smaller = narrowed(source, manifest, wanted, &mut budget, DEPTH).await?;
    if !smaller.kept.is_empty() {
        return Ok(smaller);
    }
    let wanted: Vec<String> = wanted.iter().map(Platform::to_string).collect();
    let here = match manifest.payload() {
        Payload::Index(index) => platform::list(&index.manifests),
        _ => String::new(),
    };
    Err(platform::none_for(&wanted.join(", "), &here))
}

fn narrowed<'a>(
    source: &'a dyn Source,
    manifest: &'a Manifest,
    wanted: &'a [Platform],
    budget: &'a mut Budget,
    depth: usize,
) -> BoxFuture<'a, Result<SmallerIndex>> {
    async move {
        let Payload::Index(index) = manifest.payload() else {
            let message = "neither an index nor an image";
            return Err(Error::new(ErrorKind::Invalid, message).target(manifest.digest()));
        };
        let mut children = Vec::with_capacity(index.manifests.len());
        let mut below = Vec::new();
        let mut left_out = Vec::new();
        for child in &index.manifests {
            let fits = |here: &Platform| wanted.iter().any(|wanted| here.matches(wanted));
            if platform::may_hold(child, fits) {
                let inner = budget.index(source, child, depth).await?;
                let inner = narrowed(source, &inner, wanted, budget, depth - 1).await?;
                children.push((!inner.kept.is_empty()).then(|| Descriptor {
                    digest: inner.manifest.digest().clone(),
                    size: inner.manifest.size(),
                    ..child.clone()
                }));
                if inner.manifest.digest() != &child.digest {
                    below.extend(inner.below);
                    below.push(inner.manifest);
                }
                left_out.extend(inner.left_out);
                continue;
            }
            let here = platform::runs_on(source, child, &mut budget.lookups).await?;
            children.push(here.filter(|here| fits(here)).map(|_| child.clone()));
        }
        keep_attestations(index, &mut children);
        let gone = index.manifests.iter().zip(&children);
        let gone = gone.filter(|(_, kept)| kept.is_none());
        left_out.extend(gone.map(|(child, _)| child.digest.clone()));
        let kept: Vec<Descriptor> = children.into_iter().flatten().collect();
        // One manifest may be there for several platforms.
        left_out.retain(|gone| kept.iter().all(|kept| kept.digest != *gone));
        let manifest = match kept == index.manifests {
            true => manifest.clone(),
            false => written(manifest, index, kept.clone())?,
        };
        Ok(SmallerIndex {
            manifest,
            below,
            kept,
            left_out,
        })
    }
    .boxed()
}

/// Keeps what is said about children that are kept.
fn keep_attestations(index: &Index, children: &mut [Option<Descriptor>]) {
    let kept = index.manifests.iter().zip(children.iter());
    let kept = kept.filter(|(_, kept)| kept.is_some());
    let kept: HashSet<String> = kept.map(|(child, _)| child.digest.to_string()).collect();
    for (child, slot) in index.manifests.iter().zip(children) {
        let about = child.annotations.get(ABOUT);
        if slot.is_none() && about.is_some_and(|about| kept.contains(about)) {
            *slot = Some(child.clone());
        }
    }
}

fn written(before: &Manifest, index: &Index, manifests: Vec<Descriptor>) -> Result<Manifest> {
    let document = Index {
        manifests,
        ..index.clone()
    };
    let bytes = compact_json(&document)
        .map_err(|error| Error::new(ErrorKind::Invalid, "index").source(error))?;
    let media_type = Some(before.media_type());
    Ok(Manifest::parse(media_type, Bytes::from(bytes))?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use wharf_oci::MediaType;

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
        let about = (ABOUT.to_owned(), image.digest.to_string());
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
        assert_eq!(part.kept, expected);
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
        let outer = index(&source, &[inner.descriptor().clone(), s390x.clone()]).await;
        let some = part(&source, &outer, &["linux/arm64"]).await.unwrap();
        let [made] = some.below.as_slice() else {
            panic!("{some:?}");
        };
        assert_eq!(some.kept[0].digest, *made.digest());
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
        let said = "no image for linux/386, a/b, there is: linux/s390x";
        assert_eq!(none.to_string(), said);
    }
}
