//! How a plan is made: manifests are read from the roots down, and the store is asked what it has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Payload, Role};

use super::missing::{Kind, Missing};
use super::plan::{Plan, Root};
use super::said::{as_promised, said_by, too_much};
use crate::copy::order::{by_height, largest_first};
use crate::copy::{CopyOptions, Existing, Nondistributable};
use crate::layer::LayerKey;
use crate::store::{Beat, Pulse, Source, Store};
use crate::{Error, ErrorKind, Result, Side};

mod roots;

/// Bytes of manifests held at once; real trees need a few hundred kilobytes.
const MANIFEST_BYTES: u64 = 128 << 20;

/// Indexes within indexes; real ones have two levels.
const DEPTH: usize = 32;

struct Planner<'a> {
    source: &'a dyn Source,
    store: &'a dyn Store,
    options: &'a CopyOptions,
    plan: Plan,
    blobs: HashMap<Digest, Descriptor>,
    pending: HashSet<LayerKey>,
    seen: HashSet<Digest>,
    children: HashMap<Digest, Manifest>,
    /// Manifests that the source lacks.
    made: HashMap<Digest, Manifest>,
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
    /// the store is not believed. The source lacks the manifests that this copy has `made`.
    ///
    /// # Errors
    /// Where a manifest cannot be read.
    pub(super) async fn below(
        source: &dyn Source,
        store: &dyn Store,
        manifest: &Manifest,
        made: HashMap<Digest, Manifest>,
        options: &CopyOptions,
    ) -> Result<Plan> {
        let mut planner = Planner::new(source, store, options);
        planner.made = made;
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
            made: HashMap::new(),
            manifest_bytes: 0,
            missing: Missing::default(),
            reading: source.pulse().unwrap_or_default(),
            asking: store.pulse().unwrap_or_default(),
        }
    }

    /// Plans everything below a manifest that the store lacks.
    async fn walk(&mut self, root: &Manifest) -> Result<()> {
        let level = self.links(root).await?;
        self.descend(root.digest(), level).await
    }

    /// Plans these manifests, and everything below them, as far as the store lacks it, level by
    /// level.
    async fn descend(&mut self, root: &Digest, mut level: Vec<Descriptor>) -> Result<()> {
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
            if link.role == Role::Child && self.options.left_out.contains(&descriptor.digest) {
                continue;
            }
            if link.role == Role::Child && descriptor.media_type.is_manifest() {
                if self.seen.insert(descriptor.digest.clone()) {
                    children.push(descriptor);
                }
            } else {
                self.add_below(link.role, &descriptor)?;
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

    /// Notes a blob below a manifest, unless it is left out, or the store has it by what it is.
    fn add_below(&mut self, role: Role, descriptor: &Descriptor) -> Result<()> {
        if role == Role::Layer && self.leaves_out(&descriptor.media_type) {
            self.plan.skipped.push(descriptor.clone());
            return Ok(());
        }
        if self.is_home(descriptor) {
            return Ok(());
        }
        self.add_blob(descriptor)
    }

    /// Whether the source has the content in the very repository that the store is. What manifests
    /// there link to needs no question; a refused manifest is planned anew (see `doubt.rs`).
    fn is_home(&self, descriptor: &Descriptor) -> bool {
        if self.options.existing == Existing::Check {
            return false;
        }
        let from = self.source.blob(descriptor);
        let home = from.origin().is_some();
        home && from.origin() == self.store.blob(descriptor).origin()
    }

    fn leaves_out(&self, media_type: &MediaType) -> bool {
        !media_type.is_distributable()
            && self.options.nondistributable == Nondistributable::Skip
            && !self.store.needs_all_layers()
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
        root: &Digest,
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
        // Where children are left out, an index may be there without the others.
        let partly = descriptor.media_type.is_index() && !self.options.left_out.is_empty();
        if partly || self.options.existing == Existing::Check {
            return Ok(false);
        }
        let contains = async || self.store.contains(descriptor).await;
        self.retry(&self.asking, contains)
            .await
            .map_err(|error| error.side(Side::Destination))
    }

    async fn read(&self, descriptor: &Descriptor) -> Result<Manifest> {
        if let Some(made) = self.made.get(&descriptor.digest) {
            return Ok(made.clone());
        }
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
