//! What is below a manifest, and what refers to it.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use wharf_oci::{Descriptor, Digest, Manifest, ManifestKind, Role};

use super::{ManifestFacts, Wharf};
use crate::place::OpenedSource;
use crate::{Error, ErrorKind, Result, RootContent};

/// How deep a tree is read. Images have two or three levels; referrers add as many.
const MOST_LEVELS: usize = 16;

/// How many manifests of a tree are read.
const MOST_MANIFESTS: usize = 1000;

/// Content, and what is below it. Serialised it is the JSON of `wharf tree`. Fields stay as they are;
/// later versions may add some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TreeNode {
    /// What it is to the node above it.
    pub role: TreeRole,
    /// What is known of it; for manifests that were read their own kind and artifact type.
    #[serde(flatten)]
    pub content: ManifestFacts,
    /// Why there is nothing below it, or not all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What it links to, then its referrers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<TreeNode>,
}

/// What content is to the node above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TreeRole {
    /// The root, which has none above it.
    Root,
    /// An entry of an index.
    Manifest,
    /// The config of an image.
    Config,
    /// A layer of an image.
    Layer,
    /// A blob of an artifact.
    Blob,
    /// A manifest that says something about it.
    Referrer,
}

/// A manifest that was read, or the reason why not.
struct Visited {
    manifest: Result<Manifest>,
    referrers: Result<Vec<Descriptor>>,
}

type Known = HashMap<Digest, Visited>;

impl Wharf {
    /// What is below the manifest of an opened source, and what refers to all of that: indexes,
    /// manifests, configs, layers, and referrers of referrers. Reads manifests only, each once.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let opened = wharf.read(&"registry.example/app:1".parse()?).await?;
    /// for child in wharf.tree(&opened).await?.children {
    ///     println!("{:?} {}", child.role, child.content.digest);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::manifest_in`]; [`ErrorKind::Invalid`] for more than a thousand manifests; the
    /// source's errors, except that a manifest below the root which is not there, and referrers
    /// that cannot be listed, are notes of their nodes.
    pub async fn tree(&self, opened: &OpenedSource) -> Result<TreeNode> {
        let root = self.manifest_in(opened).await?;
        let descriptor = root.descriptor().clone();
        let mut known = Known::new();
        let mut next = vec![descriptor.clone()];
        let mut read = Some(root);
        for _ in 0..MOST_LEVELS {
            let wanted = fresh(&known, std::mem::take(&mut next));
            if known.len() + wanted.len() > MOST_MANIFESTS {
                let message = format!("more than {MOST_MANIFESTS} manifests");
                return Err(Error::new(ErrorKind::Invalid, message).target(&descriptor.digest));
            }
            // Collected, because otherwise the compiler does not see that this is `Send`.
            let visits: Vec<_> = wanted
                .into_iter()
                .map(|wanted| self.visit(opened, wanted, read.take()))
                .collect();
            let mut visits = stream::iter(visits).buffered(self.options().copy.checks.clamp(1, 64));
            while let Some((digest, visited)) = visits.try_next().await? {
                next.extend(below(&visited));
                known.insert(digest, visited);
            }
            if next.is_empty() {
                break;
            }
        }
        let mut shown = HashSet::new();
        Ok(node(TreeRole::Root, &descriptor, &known, &mut shown))
    }

    /// Reads a manifest, unless it was `read`, and lists its referrers.
    async fn visit(
        &self,
        opened: &OpenedSource,
        wanted: Descriptor,
        read: Option<Manifest>,
    ) -> Result<(Digest, Visited)> {
        let source = opened.source.as_ref();
        let raw = source.raw_source().unwrap_or(source);
        let manifest = match read {
            Some(manifest) => Ok(manifest),
            None => self.retry(|| raw.manifest(&wanted)).await,
        };
        let manifest = match manifest {
            Err(error) if !is_of_content(&error) => return Err(error),
            manifest => manifest,
        };
        let referrers = match (&opened.content, &manifest) {
            (RootContent::Manifest(_), Ok(_)) => self.referring(source, &wanted.digest).await,
            _ => Ok(Vec::new()),
        };
        Ok((
            wanted.digest,
            Visited {
                manifest,
                referrers,
            },
        ))
    }
}

/// Whether an error is about this content alone, and says nothing of the source.
fn is_of_content(error: &Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Corrupt
    )
}

/// The manifests of `wanted` that were not read yet, each once.
fn fresh(known: &Known, wanted: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    let new = wanted.into_iter();
    new.filter(|one| !known.contains_key(&one.digest) && seen.insert(one.digest.clone()))
        .collect()
}

/// The manifests that a visited one leads to.
fn below(visited: &Visited) -> Vec<Descriptor> {
    let links = visited.manifest.iter().flat_map(Manifest::linked);
    let referrers = visited.referrers.iter().flatten();
    let all = links.chain(referrers).cloned();
    all.filter(|next| next.media_type.is_manifest()).collect()
}

/// The node of content: what is below it is shown where it comes first.
fn node(
    role: TreeRole,
    descriptor: &Descriptor,
    known: &Known,
    shown: &mut HashSet<Digest>,
) -> TreeNode {
    let mut node = TreeNode {
        role,
        content: ManifestFacts::of(descriptor),
        notes: Vec::new(),
        children: Vec::new(),
    };
    if !descriptor.media_type.is_manifest() {
        return node;
    }
    let Some(visited) = known.get(&descriptor.digest) else {
        node.notes
            .push(format!("deeper than {MOST_LEVELS} levels, not read"));
        return node;
    };
    let manifest = match &visited.manifest {
        Ok(manifest) => manifest,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            node.notes.push("not there".to_owned());
            return node;
        }
        Err(error) => {
            node.notes.push(error.to_string());
            return node;
        }
    };
    // An index may know more: it tells attestations from images.
    let own = ManifestKind::of(manifest);
    if node.content.kind != Some(ManifestKind::Attestation) {
        node.content.kind = Some(own);
    }
    if !matches!(own, ManifestKind::Image | ManifestKind::Index) {
        node.content.artifact_type = manifest.artifact_type().cloned();
    }
    if !shown.insert(descriptor.digest.clone()) {
        node.notes.push("shown above".to_owned());
        return node;
    }
    for link in manifest.links() {
        let role = role_of(link.role, own);
        node.children
            .push(self::node(role, &link.descriptor, known, shown));
    }
    match &visited.referrers {
        Ok(referrers) => {
            for referrer in referrers {
                let child = self::node(TreeRole::Referrer, referrer, known, shown);
                node.children.push(child);
            }
        }
        Err(error) => node
            .notes
            .push(format!("referrers are not listed: {error}")),
    }
    node
}

fn role_of(role: Role, parent: ManifestKind) -> TreeRole {
    match (role, parent) {
        (Role::Config, _) => TreeRole::Config,
        (Role::Layer, ManifestKind::Image) => TreeRole::Layer,
        (Role::Layer | Role::Blob, _) => TreeRole::Blob,
        (Role::Child, _) => TreeRole::Manifest,
    }
}
