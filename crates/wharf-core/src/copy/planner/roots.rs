//! How the roots of a copy get into a plan: by what the store has under their tags.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Digest, Manifest, Role, Selector, Tag};

use super::Planner;
use crate::copy::plan::{PlannedDraft, PlannedIndex, PlannedManifest, Root, RootContent};
use crate::copy::said::says_nothing;
use crate::copy::{Clobber, Existing};
use crate::draft::{Draft, IndexDraft};
use crate::{Error, ErrorKind, Result, Side};

/// What a store has of a root.
struct There {
    /// Whether it has the manifest.
    known: bool,
    /// The tags that name something else, or nothing.
    lacking: Vec<Tag>,
}

impl Planner<'_> {
    /// Plans a root, and what is below it unless the store has that.
    pub(super) async fn add(&mut self, root: &Root) -> Result<()> {
        if self.options.clobber == Clobber::Refuse {
            self.refuse_clobber(&root.tags).await?;
        }
        match &root.content {
            RootContent::Manifest(descriptor) => {
                let mut there = self.there(descriptor, &root.tags).await?;
                self.plan.named.push(Some(descriptor.clone()));
                // Where children are left out, an index may be there without the others.
                let whole = self.options.left_out.is_empty() || !descriptor.media_type.is_index();
                there.known &= whole;
                if whole && there.lacking.is_empty() && !root.tags.is_empty() {
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
            RootContent::Index(index) => self.add_index(index, &root.tags).await,
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
        self.add_content(draft)?;
        let position = self.plan.named.len();
        self.plan.named.push(None);
        self.plan.drafts.push(PlannedDraft {
            draft: draft.clone(),
            tags: tags.to_vec(),
            position,
        });
        Ok(())
    }

    /// Plans an index: what is made below it, and its other children with all below them.
    async fn add_index(&mut self, index: &IndexDraft, tags: &[Tag]) -> Result<()> {
        for draft in index.drafts() {
            self.add_content(draft)?;
        }
        let mut children = Vec::new();
        for child in index.stored() {
            if self.is_home(child) {
                continue;
            }
            if !child.media_type.is_manifest() {
                self.add_blob(child)?;
            } else if self.seen.insert(child.digest.clone()) {
                children.push(child.clone());
            }
        }
        if let Some(first) = children.first().cloned() {
            self.descend(&first.digest, children).await?;
        }
        let position = self.plan.named.len();
        self.plan.named.push(None);
        self.plan.indexes.push(PlannedIndex {
            draft: index.clone(),
            tags: tags.to_vec(),
            position,
        });
        Ok(())
    }

    /// Notes the blobs of a draft.
    fn add_content(&mut self, draft: &Draft) -> Result<()> {
        if let Some(config) = draft.config.stored() {
            self.add_below(Role::Config, config)?;
        }
        for layer in draft.stored() {
            self.add_below(Role::Layer, layer)?;
        }
        self.plan.recalled.extend(draft.recalled().cloned());
        for layer in draft.pending() {
            if self.pending.insert(layer.key().clone()) {
                self.plan.pending.push(layer.clone());
            }
        }
        Ok(())
    }

    /// Makes sure that the store has none of `tags`.
    async fn refuse_clobber(&self, tags: &[Tag]) -> Result<()> {
        let asked = stream::iter(tags.iter().cloned()).map(|tag| async move {
            let selector = Selector::Tag(tag.clone());
            let is_there = async || match self.store.resolve(&selector).await {
                Ok(_) => Ok(true),
                Err(error) if says_nothing(&error) => Ok(false),
                Err(error) => Err(error),
            };
            match self.retry(&self.asking, is_there).await {
                Ok(false) => Ok(()),
                Ok(true) => Err(self.exists(&tag)),
                Err(error) => Err(error),
            }
        });
        let mut answers = asked.buffered(self.options.checks());
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| error.side(Side::Destination))?;
        }
        Ok(())
    }

    fn exists(&self, tag: &Tag) -> Error {
        let message = format!("tag {tag} is there already, and is not overwritten");
        let error = Error::new(ErrorKind::Exists, message);
        match self.store.place() {
            Some(place) => error.target(place),
            None => error,
        }
    }

    /// Those of `tags` that do not name `digest` in the store, or cannot be trusted to.
    async fn lacking(&self, digest: &Digest, tags: &[Tag]) -> Result<Vec<Tag>> {
        let known = self.options.clobber == Clobber::Refuse;
        if known || self.options.existing == Existing::Check {
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
}
