//! Stores that are sound but for one fault.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use wharf_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, Selector, Tag};

use crate::blob::{Blob, ByteStream};
use crate::conformance::Stores;
use crate::intake::{Intake, once};
use crate::store::{Memory, Names, Outcome, Source, Store};
use crate::sync::Lock;
use crate::{Error, ErrorKind, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    InventsTags,
    SaysYes,
    MissingIsEmpty,
    IgnoresSizes,
    AlwaysExisted,
    OffersNothing,
    IgnoresOffsets,
    KeepsWrongBytes,
    KeepsHalves,
    RefusesBlobAgain,
    RefusesEmpty,
    RefusesSha512,
    WrongSizes,
    OneBlobAtATime,
    ForgetsTypes,
    KeepsBrokenStreams,
    DoublesSecondTry,
    Reserialises,
    TagsChildren,
    NeedsTags,
    FirstTagOnly,
    TagsStay,
    RefusesManifestAgain,
    LosesTagsAtOnce,
    Unsorted,
    IgnoresLimits,
    BeginsAtTheLast,
    NeedsKnownTag,
    DeletesManifestOfTag,
    KeepsTagsOfDeleted,
    DeletesNothing,
    BareReferrers,
    AllRefer,
    ForgetsWhenReopened,
    SaysYesToConfigs,
}

/// The faults, and a clause that each one breaks.
pub(super) const FAULTS: &[(Fault, &str)] = &[
    (Fault::InventsTags, "blobs::are_missing_before_they_are_put"),
    (Fault::SaysYes, "blobs::are_missing_before_they_are_put"),
    (
        Fault::MissingIsEmpty,
        "blobs::are_missing_before_they_are_put",
    ),
    (
        Fault::IgnoresSizes,
        "blobs::are_not_confused_with_others_of_another_size",
    ),
    (Fault::AlwaysExisted, "blobs::are_read_as_they_were_put"),
    (Fault::OffersNothing, "blobs::are_read_as_they_were_put"),
    (Fault::IgnoresOffsets, "blobs::are_read_from_any_offset"),
    (Fault::KeepsWrongBytes, "blobs::of_wrong_bytes_are_refused"),
    (Fault::KeepsHalves, "blobs::of_a_broken_source_are_not_kept"),
    (Fault::RefusesBlobAgain, "blobs::may_be_put_again"),
    (Fault::RefusesEmpty, "blobs::may_be_empty"),
    (Fault::RefusesSha512, "blobs::may_be_named_by_sha512"),
    (Fault::WrongSizes, "blobs::tell_their_sizes"),
    (Fault::OneBlobAtATime, "blobs::may_be_put_at_once"),
    (Fault::ForgetsTypes, "ingestion::learns_what_it_takes"),
    (
        Fault::KeepsBrokenStreams,
        "ingestion::leaves_nothing_of_a_broken_stream",
    ),
    (
        Fault::DoublesSecondTry,
        "ingestion::goes_on_with_a_second_try",
    ),
    (Fault::Reserialises, "manifests::keep_their_bytes"),
    (Fault::TagsChildren, "manifests::have_no_tag_as_children"),
    (Fault::NeedsTags, "manifests::may_be_roots_without_tags"),
    (Fault::FirstTagOnly, "manifests::have_all_of_their_tags"),
    (Fault::TagsStay, "manifests::give_their_tags_to_others"),
    (Fault::RefusesManifestAgain, "manifests::may_be_put_again"),
    (Fault::LosesTagsAtOnce, "manifests::may_be_put_at_once"),
    (Fault::Unsorted, "paging::is_in_lexical_order"),
    (Fault::IgnoresLimits, "paging::goes_page_by_page"),
    (Fault::BeginsAtTheLast, "paging::goes_page_by_page"),
    (Fault::NeedsKnownTag, "paging::begins_behind_any_tag"),
    (
        Fault::DeletesManifestOfTag,
        "deletion::of_a_tag_leaves_the_rest",
    ),
    (
        Fault::KeepsTagsOfDeleted,
        "deletion::of_a_manifest_takes_its_tags",
    ),
    (Fault::DeletesNothing, "deletion::of_nothing_says_so"),
    (
        Fault::BareReferrers,
        "referring::is_listed_with_the_subject",
    ),
    (Fault::AllRefer, "referring::is_empty_for_others"),
    (
        Fault::ForgetsWhenReopened,
        "lasting::is_there_after_reopening",
    ),
    (Fault::SaysYesToConfigs, "copies::go_in_and_out"),
];

pub(super) struct BrokenStores(pub(super) Fault);

#[async_trait]
impl Stores for BrokenStores {
    async fn empty(&self) -> Arc<dyn Store> {
        Arc::new(Broken {
            sound: Memory::new(),
            fault: self.0,
            unchecked: Lock::default(),
            under_way: AtomicU32::new(0),
        })
    }

    async fn reopened(&self, _: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        let forgets = self.0 == Fault::ForgetsWhenReopened;
        forgets.then(|| Arc::new(Memory::new()) as Arc<dyn Store>)
    }
}

#[derive(Debug)]
struct Broken {
    sound: Memory,
    fault: Fault,
    /// Content that no digest was compared with, and parts of content, by digest or key.
    unchecked: Lock<HashMap<Digest, Bytes>>,
    under_way: AtomicU32,
}

impl Broken {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Lets other calls begin; returns how many had begun before.
    async fn meanwhile(&self) -> u32 {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        others
    }

    async fn all_tags(&self) -> Vec<Tag> {
        self.sound.tags(None, usize::MAX).await.unwrap()
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Rejected, "refused")
}

/// The chunks of a stream before it ends or fails, and whether it failed.
async fn came(mut stream: ByteStream) -> (Bytes, Result<()>) {
    let mut came = Vec::new();
    loop {
        match stream.next().await {
            Some(Ok(chunk)) => came.extend_from_slice(&chunk),
            Some(Err(error)) => return (came.into(), Err(error)),
            None => return (came.into(), Ok(())),
        }
    }
}

#[async_trait]
impl Source for Broken {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        let invented = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b"x"), 1);
        match self.sound.resolve(at).await {
            Err(_) if self.is(Fault::InventsTags) => Ok(invented),
            resolved => resolved,
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.sound.manifest(descriptor).await
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let blob = self.sound.blob(descriptor);
        if let Some(bytes) = self.unchecked.lock().get(&descriptor.digest) {
            return Blob::from_bytes(descriptor.clone(), bytes.clone());
        }
        let fault = self.fault;
        let sound = blob.clone();
        Blob::new(descriptor.clone(), move |offset| {
            let sound = sound.clone();
            async move {
                let offset = if fault == Fault::IgnoresOffsets {
                    0
                } else {
                    offset
                };
                match sound.open(offset).await {
                    Err(_) if fault == Fault::MissingIsEmpty => Ok(stream::empty().boxed()),
                    opened => opened,
                }
            }
            .boxed()
        })
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let size = self.sound.blob_size(digest).await?;
        Ok(size + u64::from(self.is(Fault::WrongSizes)))
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        let mut all = self.all_tags().await;
        match self.fault {
            Fault::Unsorted => all.reverse(),
            Fault::IgnoresLimits => return self.sound.tags(after, usize::MAX).await,
            Fault::BeginsAtTheLast => {
                all.retain(|tag| after.is_none_or(|after| tag >= after));
                all.truncate(limit);
            }
            Fault::NeedsKnownTag if after.is_some_and(|after| !all.contains(after)) => all.clear(),
            _ => return self.sound.tags(after, limit).await,
        }
        Ok(all)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut found = self.sound.referrers(subject).await?;
        if self.is(Fault::BareReferrers) {
            found.iter_mut().for_each(|one| one.annotations.clear());
        }
        if self.is(Fault::AllRefer) {
            for tag in self.all_tags().await {
                found.push(self.sound.resolve(&Selector::Tag(tag)).await?);
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Store for Broken {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        let config = descriptor.media_type == MediaType::OCI_IMAGE_CONFIG;
        let digest = Selector::Digest(descriptor.digest.clone());
        Ok(match self.fault {
            Fault::SaysYes => true,
            Fault::SaysYesToConfigs if config => true,
            Fault::KeepsHalves if self.unchecked.lock().contains_key(&descriptor.digest) => true,
            Fault::IgnoresSizes => {
                let blob = self.sound.blob_size(&descriptor.digest).await;
                blob.is_ok() || self.sound.resolve(&digest).await.is_ok()
            }
            _ => self.sound.contains(descriptor).await?,
        })
    }

    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        let Descriptor { digest, size, .. } = blob.descriptor();
        let there = self.sound.blob_size(digest).await.is_ok();
        match self.fault {
            Fault::OffersNothing => {
                return Err(Error::new(ErrorKind::Unsupported, "no blobs here"));
            }
            Fault::RefusesBlobAgain if there => return Err(refused()),
            Fault::RefusesEmpty if *size == 0 => return Err(refused()),
            Fault::RefusesSha512 if digest.algorithm() == Algorithm::Sha512 => {
                return Err(refused());
            }
            Fault::OneBlobAtATime if self.meanwhile().await > 0 => return Err(refused()),
            Fault::KeepsWrongBytes => {
                let (bytes, whole) = came(blob.open(0).await?).await;
                whole?;
                self.unchecked.lock().insert(digest.clone(), bytes);
                return Ok(Outcome::Written);
            }
            Fault::KeepsHalves => {
                let (bytes, whole) = came(blob.open(0).await?).await;
                if whole.is_err() {
                    self.unchecked.lock().insert(digest.clone(), bytes);
                }
                whole?;
            }
            _ => {}
        }
        let put = self.sound.put_blob(blob).await?;
        let existed = self.is(Fault::AlwaysExisted);
        Ok(if existed { Outcome::Existed } else { put })
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let media_type = match self.fault {
            Fault::ForgetsTypes => &MediaType::OCTET_STREAM,
            _ => media_type,
        };
        let (mut bytes, whole) = came(intake.open(0).await?).await;
        match (self.fault, intake.key(), &whole) {
            (Fault::KeepsBrokenStreams, _, Err(_)) => {
                self.sound.add_blob(media_type.clone(), bytes.clone());
            }
            (Fault::DoublesSecondTry, Some(key), Err(_)) => {
                let part = bytes.clone();
                self.unchecked.lock().insert(key.clone(), part);
            }
            (Fault::DoublesSecondTry, Some(key), Ok(())) => {
                let part = self.unchecked.lock().remove(key).unwrap_or_default();
                bytes = [part, bytes].concat().into();
            }
            _ => {}
        }
        whole?;
        let stream = stream::iter([Ok(bytes)]).boxed();
        self.sound.ingest(media_type, once(stream)).await
    }

    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let latest: [Tag; 1] = ["latest".parse().unwrap()];
        let there = self.sound.manifest(manifest.descriptor()).await.is_ok();
        let tags = match (self.fault, names.tags()) {
            (Fault::TagsChildren, _) if names == Names::Child => latest.to_vec(),
            (Fault::NeedsTags, []) if names != Names::Child => return Ok(()),
            (Fault::FirstTagOnly, [first, ..]) => vec![first.clone()],
            (Fault::TagsStay, tags) => {
                let taken = self.all_tags().await;
                let free = tags.iter().filter(|tag| !taken.contains(tag));
                free.cloned().collect()
            }
            (Fault::LosesTagsAtOnce, _) if self.meanwhile().await > 0 => Vec::new(),
            (Fault::RefusesManifestAgain, _) if there => return Err(refused()),
            (_, tags) => tags.to_vec(),
        };
        let manifest = match self.fault {
            Fault::Reserialises => {
                let value: serde_json::Value = serde_json::from_slice(manifest.bytes()).unwrap();
                let bytes = value.to_string().into();
                Manifest::parse(Some(manifest.media_type()), bytes)?
            }
            _ => manifest.clone(),
        };
        self.sound.put_manifest(&manifest, Names::Root(&tags)).await
    }

    async fn delete(&self, at: &Selector) -> Result<()> {
        match (self.fault, at) {
            (Fault::DeletesManifestOfTag, Selector::Tag(_)) => {
                let digest = self.sound.resolve(at).await?.digest;
                self.sound.delete(&Selector::Digest(digest)).await
            }
            (Fault::KeepsTagsOfDeleted, Selector::Digest(_)) => {
                self.sound.resolve(at).await.map(drop)
            }
            (Fault::DeletesNothing, _) => Ok(()),
            _ => self.sound.delete(at).await,
        }
    }
}
