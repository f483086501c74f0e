//! What of an index is in a layout. `docker save` lists images of platforms that it does not have.

use std::collections::HashSet;
use std::sync::Arc;

use wharf_oci::{Descriptor, Digest, ImageConfig, MAX_MANIFEST_SIZE, Manifest, Payload, Platform};

use super::LayoutReader;
use super::entry::{self, Entry};
use super::reader::read_whole;
use crate::{Error, ErrorKind, Result};

/// The most manifests to read below an entry.
const MOST: usize = 10_000;

/// The most absent children that a message names.
const MOST_NAMED: usize = 10;

/// What of an index is in a layout.
#[derive(Debug, Default)]
struct Present {
    /// The images that are there with all their content, and their configs.
    images: Vec<(Descriptor, Digest)>,
    /// What is not there, or not with all its content.
    absent: Vec<Descriptor>,
}

impl LayoutReader {
    /// The same layout, of an archive that also lists the images with these configs by themselves.
    pub(crate) fn with_listed(mut self, configs: HashSet<Digest>) -> Self {
        self.listed = Some(Arc::new(configs));
        self
    }

    /// Whether all that `index.json` lists is there, and otherwise whether one of the images with
    /// these configs is. Blocking.
    pub(crate) fn has_all_or_one_of(&self, configs: &HashSet<Digest>) -> Result<(bool, bool)> {
        let (mut all, mut one) = (true, false);
        for entry in self.entries()? {
            let present = self.present(&entry.descriptor);
            all &= present.absent.is_empty();
            one |= present
                .images
                .iter()
                .any(|(_, config)| configs.contains(config));
        }
        Ok((all, one))
    }

    /// The image of `entry` that is there, where `entry` is an index with absent children and the
    /// archive lists one image of it by itself; else `entry`. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::Ambiguous`] if the archive lists several of its images by themselves.
    pub fn narrowed(&self, entry: Entry) -> Result<Entry> {
        let Some(listed) = self.listed.as_deref() else {
            return Ok(entry);
        };
        if !entry.descriptor.media_type.is_index() {
            return Ok(entry);
        }
        let Present { images, absent } = self.present(&entry.descriptor);
        if absent.is_empty() {
            return Ok(entry);
        }
        let named = images
            .into_iter()
            .filter(|(_, config)| listed.contains(config));
        let named: Vec<Descriptor> = named.map(|(image, _)| image).collect();
        match <[Descriptor; 1]>::try_from(named) {
            Ok([descriptor]) => Ok(Entry {
                descriptor,
                ..entry
            }),
            Err(none) if none.is_empty() => Ok(entry),
            Err(several) => Err(self.incomplete(&several, &absent)),
        }
    }

    /// `entries` on one line, with platforms as far as they can be found out.
    pub(super) fn list(&self, entries: &[Entry]) -> String {
        let mut entries = entries.to_vec();
        for Entry { descriptor, .. } in &mut entries {
            descriptor.platform = descriptor
                .platform
                .take()
                .or_else(|| self.platform(descriptor));
        }
        entry::list(&entries)
    }

    /// What an image runs on, by its config.
    fn platform(&self, descriptor: &Descriptor) -> Option<Platform> {
        let manifest = self.read_manifest(descriptor).ok()?;
        let Payload::Image(image) = manifest.payload() else {
            return None;
        };
        let config = read_whole(&self.locate_whole(&image.config).ok()?, MAX_MANIFEST_SIZE).ok()?;
        let platform = ImageConfig::parse(&config).ok()?.platform();
        (!platform.os.is_empty()).then_some(platform)
    }

    fn incomplete(&self, there: &[Descriptor], absent: &[Descriptor]) -> Error {
        let said = format!(
            "the index is incomplete: {} absent; choose one of its images by platform (--platform): {}",
            names(absent),
            names(there)
        );
        Error::new(ErrorKind::Ambiguous, said).target(self.name())
    }

    fn present(&self, root: &Descriptor) -> Present {
        let mut present = Present::default();
        let (mut open, mut seen) = (vec![root.clone()], HashSet::new());
        while let Some(next) = open.pop() {
            if !seen.insert(next.digest.clone()) || seen.len() > MOST {
                continue;
            }
            if !next.media_type.is_manifest() {
                if !self.holds(&next) {
                    present.absent.push(next);
                }
                continue;
            }
            match self.read_manifest(&next) {
                Ok(manifest) => self.enter(&mut present, &mut open, next, &manifest),
                Err(error) if error.kind() == ErrorKind::NotFound => present.absent.push(next),
                // Damage is reported when the manifest is copied.
                Err(_) => {}
            }
        }
        present
    }

    fn enter(
        &self,
        present: &mut Present,
        open: &mut Vec<Descriptor>,
        descriptor: Descriptor,
        manifest: &Manifest,
    ) {
        match manifest.payload() {
            Payload::Index(index) => open.extend(index.manifests.iter().rev().cloned()),
            Payload::Image(image) => {
                let mut links = manifest.links().into_iter().map(|link| link.descriptor);
                let whole =
                    links.all(|link| !link.media_type.is_distributable() || self.holds(&link));
                match whole {
                    true => present
                        .images
                        .push((descriptor, image.config.digest.clone())),
                    false => present.absent.push(descriptor),
                }
            }
            Payload::Artifact(_) | Payload::Schema1(_) => {}
        }
    }
}

/// The platforms or digests of some children, on one line.
fn names(children: &[Descriptor]) -> String {
    let name = |child: &Descriptor| match &child.platform {
        Some(platform) => Platform::to_string(platform),
        None => child.digest.to_string(),
    };
    let mut names: Vec<String> = children.iter().take(MOST_NAMED).map(name).collect();
    if let more @ 1.. = children.len().saturating_sub(MOST_NAMED) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
