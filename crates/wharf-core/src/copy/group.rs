//! Destinations of one registry: one gets a blob or layer, and the others mount it from there as
//! soon as it arrived (wire.md O7).
//!
//! A destination that fails is replaced by the next one, and a registry that declines a mount gets
//! everything at once from then on.

use std::collections::HashSet;

use futures::future;
use wharf_oci::{Registry, Repository};

use super::share::{BlobShare, LayerShare};
use super::target::{Known, Target};
use crate::blob::Blob;
use crate::copy::Existing;
use crate::layer::PendingLayer;
use crate::store::Holding;
use crate::sync::Lock;

/// The registries that declined a mount between two destinations of this copy.
pub(super) type Declined = Lock<HashSet<Registry>>;

/// Destinations of one registry that lack the same content.
pub(super) struct Group<'t, 'a> {
    first: &'t Target<'a>,
    known: Known,
    others: Vec<&'t Target<'a>>,
}

/// What the store of a follower said: nothing is there.
fn absent() -> Known {
    Known::Answered(Ok(Holding::Absent))
}

impl<'t, 'a> Group<'t, 'a> {
    /// Groups the destinations that lack a blob.
    pub(super) fn of(lacking: Vec<(&'t Target<'a>, Known)>, declined: &Declined) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for (target, known) in lacking {
            let follows = matches!(known, Known::Answered(Ok(Holding::Absent)));
            let led = groups
                .iter_mut()
                .find(|group| follows && group.leads(target, declined));
            match led {
                Some(group) => group.others.push(target),
                None => groups.push(Group::alone(target, known)),
            }
        }
        groups
    }

    /// Groups the destinations that lack a layer. Bytes that come once go to all at once, because
    /// they would be gone when a mount is declined.
    pub(super) fn of_layer(
        layer: &PendingLayer,
        wanted: &[&'t Target<'a>],
        declined: &Declined,
    ) -> Vec<Self> {
        let lacking = wanted.iter().map(|target| (*target, absent()));
        match layer.comes_once() {
            true => lacking
                .map(|(target, known)| Group::alone(target, known))
                .collect(),
            false => Group::of(lacking.collect(), declined),
        }
    }

    fn alone(first: &'t Target<'a>, known: Known) -> Self {
        Group {
            first,
            known,
            others: Vec::new(),
        }
    }

    /// Whether `target` can mount from the first destination.
    fn leads(&self, target: &Target<'_>, declined: &Declined) -> bool {
        let (Some(home), Some(other)) = (self.first.home(), target.home()) else {
            return false;
        };
        let others = self.others.iter().filter_map(|target| target.home());
        target.options.existing == Existing::Trust
            && home.registry() == other.registry()
            && !others.chain([home]).any(|home| home == other)
            && !declined.lock().contains(home.registry())
    }

    /// Sends a blob to one destination, and links it in the others.
    pub(super) async fn send(mut self, blob: &Blob, share: BlobShare, declined: &Declined) {
        let digest = &blob.descriptor().digest;
        let mut leader = self.first;
        leader.run(leader.put_or_make(&share, self.known)).await;
        leader.lacks_one_less();
        drop(share);
        while !self.others.is_empty() {
            if let Some(from) = leader.home().filter(|_| leader.got(digest)) {
                let linking = blob.clone().with_origin(from.clone());
                let (reading, shares) = BlobShare::of(&linking, self.others.len());
                let puts = self.others.iter().zip(shares);
                let puts = puts.map(|(target, share)| async move {
                    target.run(target.put(&share, absent())).await;
                    target.lacks_one_less();
                });
                future::join(reading, future::join_all(puts)).await;
                let sent = self.others.iter().any(|target| target.has_sent(digest));
                return note(sent, from, declined);
            }
            leader = self.others.remove(0);
            let share = BlobShare::alone(blob);
            leader.run(leader.put_or_make(&share, Known::Nothing)).await;
            leader.lacks_one_less();
        }
    }

    /// Makes a layer for one destination, and links it in the others.
    pub(super) async fn make(mut self, share: LayerShare, declined: &Declined) {
        let layer = share.layer().clone();
        let mut leader = self.first;
        leader.run(leader.make(share)).await;
        leader.lacks_one_less();
        while !self.others.is_empty() {
            if let (Some(from), Some(made)) = (leader.home(), leader.became(layer.key())) {
                let linking = layer.again(&made.descriptor).with_origin(from.clone());
                let (reading, shares) = BlobShare::of(&linking, self.others.len());
                let (layer, made) = (&layer, &made);
                let puts = self.others.iter().zip(shares);
                let puts = puts.map(|(target, share)| async move {
                    target.run(target.adopt(layer, made, &share)).await;
                    target.lacks_one_less();
                });
                future::join(reading, future::join_all(puts)).await;
                let digest = &made.descriptor.digest;
                let sent = self.others.iter().any(|target| target.has_sent(digest));
                return note(sent, from, declined);
            }
            leader = self.others.remove(0);
            leader.run(leader.make(LayerShare::alone(&layer))).await;
            leader.lacks_one_less();
        }
    }
}

/// Notes whether the registry declined a mount.
fn note(sent: bool, registry: &Repository, declined: &Declined) {
    if sent {
        declined.lock().insert(registry.registry().clone());
    }
}
