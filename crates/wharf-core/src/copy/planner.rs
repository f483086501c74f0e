//! How a plan is made: manifests are read from the roots down, and the store is asked what it has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Payload, Role, Selector, Tag};

use super::missing::{Kind, Missing};
use super::plan::{Plan, PlannedDraft, PlannedManifest, Root, RootContent};
use super::said::{as_promised, said_by, says_nothing, too_much};
use crate::copy::order::{by_height, largest_first};
use crate::copy::{CopyOptions, Existing, Nondistributable};
use crate::draft::Draft;
use crate::layer::LayerKey;
use crate::store::{Beat, Pulse, Source, Store};
use crate::{Error, ErrorKind, Result, Side};

/// Bytes of manifests held at once; real trees need a few hundred kilobytes.
const MANIFEST_BYTES: u64 = 128 << 20;

/// Indexes within indexes; real ones have two levels.
const DEPTH: usize = 32;

/// What a store has of a root.
struct There {
    /// Whether it has the manifest.
    known: bool,
    /// The tags that name something else, or nothing.
    lacking: Vec<Tag>,
}

struct Planner<'a> {
    source: &'a dyn Source,
    store: &'a dyn Store,
    options: &'a CopyOptions,
    plan: Plan,
    blobs: HashMap<Digest, Descriptor>,
    pending: HashSet<LayerKey>,
    seen: HashSet<Digest>,
    children: HashMap<Digest, Manifest>,
    manifest_bytes: u64,
    missing: Missing,
    /// The pulses of the source and of the store.
    reading: Arc<Pulse>,
    asking: Arc<Pulse>,
}

/// A manifest of a level of the tree.
enum Found {
    Read(Manifest),
    /// The store has it.
    There(Descriptor),
    /// The source lacks it.
    Missing(Descriptor, Error),
}

impl Plan {
    /// Finds out what has to be done. Reads manifests and asks the store what it has.
    ///
    /// # Errors
    /// Where a manifest cannot be read, or content is missing at the source
    /// ([`crate::ErrorKind::NotFound`], naming it): nothing has been written then.
    pub async fn build(
        source: &dyn Source,
        store: &dyn Store,
        roots: &[Root],
        options: &CopyOptions,
    ) -> Result<Plan> {
        let source = source.raw_source().unwrap_or(source);
        let store = store.raw_store().unwrap_or(store);
        store.hints().prepare();
        let mut planner = Planner::new(source, store, options);
        for root in roots {
            planner.add(root).await?;
        }
        planner.finish().await
    }
}

impl Plan {
    /// Plans everything below `manifest` that the store lacks; all of it, where `options` say that
    /// the store is not believed.
    ///
    /// # Errors
    /// Where a manifest cannot be read.
    pub(super) async fn below(
        source: &dyn Source,
        store: &dyn Store,
        manifest: &Manifest,
        options: &CopyOptions,
    ) -> Result<Plan> {
        let mut planner = Planner::new(source, store, options);
        planner.walk(manifest).await?;
        planner.ordered()
    }
}

impl<'a> Planner<'a> {
    fn new(source: &'a dyn Source, store: &'a dyn Store, options: &'a CopyOptions) -> Self {
        Planner {
            source,
            store,
            options,
            plan: Plan::default(),
            blobs: HashMap::new(),
            pending: HashSet::new(),
            seen: HashSet::new(),
            children: HashMap::new(),
            manifest_bytes: 0,
            missing: Missing::default(),
            reading: source.pulse().unwrap_or_default(),
            asking: store.pulse().unwrap_or_default(),
        }
    }

    async fn add(&mut self, root: &Root) -> Result<()> {
        match &root.content {
            RootContent::Manifest(descriptor) => {
                let there = self.there(descriptor, &root.tags).await?;
                self.plan.named.push(Some(descriptor.clone()));
                if there.lacking.is_empty() && !root.tags.is_empty() {
                    self.plan.existing.push(descriptor.clone());
                    return Ok(());
                }
                let manifest = self.read(descriptor).await?;
                self.add_manifest(manifest, there, None).await
            }
            RootContent::Draft(draft) if draft.is_complete() => {
                let manifest = draft.finish(&HashMap::new())?.manifest;
                let there = self.there(manifest.descriptor(), &root.tags).await?;
                self.plan.named.push(Some(manifest.descriptor().clone()));
                if there.lacking.is_empty() && !root.tags.is_empty() {
                    self.plan.existing.push(manifest.descriptor().clone());
                    return Ok(());
                }
                self.add_manifest(manifest, there, Some(draft)).await
            }
            RootContent::Draft(draft) => self.add_draft(draft, &root.tags),
        }
    }

    /// Plans a root manifest, and what is below it unless the store has that.
    async fn add_manifest(
        &mut self,
        manifest: Manifest,
        there: There,
        draft: Option<&Draft>,
    ) -> Result<()> {
        let recalled = draft.filter(|draft| draft.recalled().next().is_some());
        if there.known {
            self.plan.retagged += 1;
        } else {
            self.walk(&manifest).await?;
            let layers = recalled.into_iter().flat_map(Draft::recalled);
            self.plan.recalled.extend(layers.cloned());
        }
        self.plan.roots.push(PlannedManifest {
            manifest,
            draft: recalled.cloned(),
            tags: there.lacking,
        });
        Ok(())
    }

    /// What the store has of a root, with as few questions as possible.
    ///
    /// It asks by tag, which is the only question for an unchanged image; by digest first where the
    /// hints say that only the tag is new. Without a hint it does not ask for an image by digest,
    /// because the questions for its blobs remain. It asks for an index, to save those for a tree.
    async fn there(&self, root: &Descriptor, tags: &[Tag]) -> Result<There> {
        let hints = self.store.hints();
        let recalled = hints.recalls(root, None);
        let recalls = |tag: &Tag| hints.recalls(root, Some(tag));
        let (old, new): (Vec<Tag>, Vec<Tag>) = tags.iter().cloned().partition(recalls);
        if recalled && !new.is_empty() {
            let known = self.has(root).await?;
            // What is not there has no tags either.
            let mut lacking = if known {
                self.lacking(&root.digest, &old).await?
            } else {
                old
            };
            lacking.extend(new);
            return Ok(There { known, lacking });
        }
        let lacking = self.lacking(&root.digest, tags).await?;
        let ask = tags.is_empty() || recalled || root.media_type.is_index();
        let known = lacking.len() < tags.len() || (ask && self.has(root).await?);
        Ok(There { known, lacking })
    }

    fn add_draft(&mut self, draft: &Draft, tags: &[Tag]) -> Result<()> {
        if let Some(config) = draft.config.stored() {
            self.add_blob(config)?;
        }
        for layer in draft.stored() {
            self.add_blob(layer)?;
        }
        self.plan.recalled.extend(draft.recalled().cloned());
        for layer in draft.pending() {
            if self.pending.insert(layer.key().clone()) {
                self.plan.pending.push(layer.clone());
            }
        }
        let position = self.plan.named.len();
        self.plan.named.push(None);
        self.plan.drafts.push(PlannedDraft {
            draft: draft.clone(),
            tags: tags.to_vec(),
            position,
        });
        Ok(())
    }

    /// Those of `tags` that do not name `digest` in the store, or cannot be trusted to.
    async fn lacking(&self, digest: &Digest, tags: &[Tag]) -> Result<Vec<Tag>> {
        if self.options.existing == Existing::Check {
            return Ok(tags.to_vec());
        }
        let asked = stream::iter(tags.iter().cloned()).map(|tag| async {
            let selector = Selector::Tag(tag.clone());
            let resolve = async || match self.store.resolve(&selector).await {
                Ok(there) => Ok(there.digest == *digest),
                Err(error) if says_nothing(&error) => Ok(false),
                Err(error) => Err(error),
            };
            match self.retry(&self.asking, resolve).await {
                Ok(same) => Ok((!same).then_some(tag)),
                Err(error) => Err(error.side(Side::Destination)),
            }
        });
        let answers: Vec<_> = asked.buffered(self.options.checks()).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Plans everything below a manifest that the store lacks, level by level.
    async fn walk(&mut self, root: &Manifest) -> Result<()> {
        let mut level = self.links(root).await?;
        for _ in 0..DEPTH {
            if level.is_empty() {
                return Ok(());
            }
            let found = self.fetch_lacking(root, level).await?;
            level = Vec::new();
            for manifest in found {
                level.extend(self.links(&manifest).await?);
                self.children.insert(manifest.digest().clone(), manifest);
            }
        }
        Err(too_much(
            self.source,
            root,
            format!("{DEPTH} levels of indexes"),
        ))
    }

    /// Notes the blobs of a manifest and gives its children that were not seen before.
    async fn links(&mut self, manifest: &Manifest) -> Result<Vec<Descriptor>> {
        let mut children = Vec::new();
        for link in manifest.links() {
            let descriptor = link.descriptor;
            if link.role == Role::Child && descriptor.media_type.is_manifest() {
                if self.seen.insert(descriptor.digest.clone()) {
                    children.push(descriptor);
                }
            } else if link.role == Role::Layer && self.leaves_out(&descriptor.media_type) {
                self.plan.skipped.push(descriptor);
            } else {
                self.add_blob(&descriptor)?;
            }
        }
        if let Payload::Schema1(schema1) = manifest.payload() {
            for digest in &schema1.fs_layers {
                let size = self
                    .retry(&self.reading, async || self.source.blob_size(digest).await)
                    .await;
                let size = size.map_err(|error| error.side(Side::Source))?;
                self.add_blob(&Descriptor::new(
                    MediaType::DOCKER_LAYER_GZIP,
                    digest.clone(),
                    size,
                ))?;
            }
        }
        Ok(children)
    }

    fn leaves_out(&self, media_type: &MediaType) -> bool {
        !media_type.is_distributable() && self.options.nondistributable == Nondistributable::Skip
    }

    fn add_blob(&mut self, descriptor: &Descriptor) -> Result<()> {
        let known = self
            .blobs
            .entry(descriptor.digest.clone())
            .or_insert_with(|| descriptor.clone());
        if known.size == descriptor.size {
            return Ok(());
        }
        let message = format!(
            "is listed with two sizes, {} and {} bytes",
            known.size, descriptor.size
        );
        let error = Error::new(ErrorKind::Invalid, message);
        Err(said_by(self.source, &descriptor.digest, error))
    }

    /// The manifests of `level` that the store lacks, as long as they are not too much to hold.
    async fn fetch_lacking(
        &mut self,
        root: &Manifest,
        level: Vec<Descriptor>,
    ) -> Result<Vec<Manifest>> {
        let this = &*self;
        let asked = stream::iter(level).map(|descriptor| async move {
            if this.has(&descriptor).await? {
                return Ok::<_, Error>(Found::There(descriptor));
            }
            match this.read(&descriptor).await {
                Ok(manifest) => {
                    as_promised(this.source, &manifest, &descriptor)?;
                    Ok(Found::Read(manifest))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Ok(Found::Missing(descriptor, error))
                }
                Err(error) => Err(error),
            }
        });
        let mut answers = asked.buffered(this.options.checks());
        let (mut manifests, mut existing, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = this.manifest_bytes;
        while let Some(answer) = answers.try_next().await? {
            match answer {
                Found::Read(manifest) => {
                    bytes += manifest.size();
                    if bytes > MANIFEST_BYTES {
                        let what = format!("{MANIFEST_BYTES} bytes of manifests");
                        return Err(too_much(this.source, root, what));
                    }
                    manifests.push(manifest);
                }
                Found::There(there) => existing.push(there),
                Found::Missing(child, error) => missing.push((child, error)),
            }
        }
        drop(answers);
        for (child, error) in missing {
            self.missing.add(Kind::Child, &child, error);
        }
        self.manifest_bytes = bytes;
        self.plan.existing.extend(existing);
        Ok(manifests)
    }

    async fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        if self.options.existing == Existing::Check {
            return Ok(false);
        }
        let contains = async || self.store.contains(descriptor).await;
        self.retry(&self.asking, contains)
            .await
            .map_err(|error| error.side(Side::Destination))
    }

    async fn read(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let read = async || self.source.manifest(descriptor).await;
        self.retry(&self.reading, read)
            .await
            .map_err(|error| error.side(Side::Source))
    }

    async fn retry<T, W>(&self, pulse: &Pulse, work: impl FnMut() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        self.options.retry.run_with(pulse, Beat::Read, work).await
    }

    async fn finish(mut self) -> Result<Plan> {
        let source = self.source;
        let blobs = largest_first(&self.blobs);
        let checked = stream::iter(blobs).map(|blob| async move {
            let checked = source.precheck(&blob).await;
            (blob, checked)
        });
        let mut checked = checked.buffered(self.options.checks());
        let mut wrong = Ok(());
        while let Some((blob, checked)) = checked.next().await {
            match checked {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.missing.add(Kind::Blob, &blob, error);
                }
                checked => wrong = wrong.and(checked),
            }
        }
        drop(checked);
        self.missing.judge(source)?;
        wrong.map_err(|error| error.side(Side::Source))?;
        self.ordered()
    }

    /// The plan, with the largest blobs and the lowest manifests first.
    fn ordered(mut self) -> Result<Plan> {
        self.missing.judge(self.source)?;
        self.plan.blobs = largest_first(&self.blobs);
        self.plan.children = by_height(self.children)?;
        Ok(self.plan)
    }
}
