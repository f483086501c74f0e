//! Executes plans: checks and moves blobs, then commits manifests, for one destination or several.
//!
//! A manifest is put only when everything it links to is in the store. The first final error of a
//! destination cancels its other work; a tag moves there only after all content is in the store.
//! The source is read, and layers are made, once for all destinations.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use tokio::sync::SemaphorePermit;
use wharf_oci::{Descriptor, Digest};

use super::group::{Declined, Group};
use super::lanes::{Lanes, Load};
use super::share::{BlobShare, LayerShare};
use super::target::{Known, Target};
use super::tee::PATIENCE;
use super::unbroken::unbroken;
use crate::copy::{CopyOptions, Event, Observer, Plan, Root, Subject, Summary, in_turn};
use crate::layer::{LayerKey, PendingLayer};
use crate::store::{Holding, Outcome, Source, Store};
use crate::{Error, ErrorKind, Result, Side};

/// Copies everything below `roots` from `source` to `store`.
///
/// # Errors
/// The first final one, with the side on which it happened. No tag has moved unless all content was
/// in the store; a second run does only what is missing.
pub async fn copy(
    source: &dyn Source,
    store: &dyn Store,
    roots: &[Root],
    options: &CopyOptions,
) -> Result<Summary> {
    let destination = Destination {
        store,
        roots,
        observer: Arc::clone(&options.observer),
    };
    one(copy_to_all(source, &[destination], options).await)
}

/// One of several destinations of a copy.
#[derive(Clone, Debug)]
pub struct Destination<'a> {
    /// The store to write to.
    pub store: &'a dyn Store,
    /// The roots to copy, with their tags.
    pub roots: &'a [Root],
    /// Receives the events of this destination.
    pub observer: Arc<dyn Observer>,
}

/// Copies from `source` to all `destinations` at once. What several of them lack is read, and
/// made, once; they share the bound `jobs`. The observer in `options` gets no event: each
/// destination has its own.
///
/// # Errors
/// Each destination fails or succeeds on its own, as [`copy`] does; the results are in the order
/// of the destinations.
pub async fn copy_to_all(
    source: &dyn Source,
    destinations: &[Destination<'_>],
    options: &CopyOptions,
) -> Vec<Result<Summary>> {
    let planned = destinations.iter().map(|to| Planned {
        store: to.store,
        observer: &to.observer,
        plan: Plan::build(source, to.store, to.roots, options),
    });
    run(source, planned.collect(), options).await
}

impl Plan {
    /// Executes the plan.
    ///
    /// # Errors
    /// As [`copy`].
    pub async fn execute(
        self,
        source: &dyn Source,
        store: &dyn Store,
        options: &CopyOptions,
    ) -> Result<Summary> {
        let planned = Planned {
            store,
            observer: &options.observer,
            plan: future::ready(Ok(self)),
        };
        one(run(source, vec![planned], options).await)
    }
}

fn one(mut outcomes: Vec<Result<Summary>>) -> Result<Summary> {
    let nowhere = || Error::new(ErrorKind::Invalid, "no destination");
    outcomes.pop().ok_or_else(nowhere)?
}

/// A destination with its plan, once that is known.
struct Planned<'a, P> {
    store: &'a dyn Store,
    observer: &'a Arc<dyn Observer>,
    plan: P,
}

async fn run<P: Future<Output = Result<Plan>>>(
    source: &dyn Source,
    destinations: Vec<Planned<'_, P>>,
    options: &CopyOptions,
) -> Vec<Result<Summary>> {
    let source = source.raw_source().unwrap_or(source);
    let transfers = options.transfers();
    let (targets, plans): (Vec<Target<'_>>, Vec<_>) = destinations
        .into_iter()
        .map(|to| {
            let options = in_turn::options(options, to.observer);
            let store = to.store.raw_store().unwrap_or(to.store);
            (Target::new(source, store, &transfers, options), to.plan)
        })
        .unzip();
    let giving_up: Vec<_> = targets.iter().map(GivingUp::new).collect();
    let planning = targets.iter().zip(plans);
    let planning = planning.map(|(target, plan)| target.run(plan));
    let plans = future::join_all(planning).await;
    let executor = Executor {
        source,
        targets: &targets,
        transfers: &transfers,
        declined: Declined::default(),
    };
    executor.execute(plans, options).await;
    giving_up.into_iter().for_each(GivingUp::end);
    targets.into_iter().map(Target::outcome).collect()
}

/// Tells a store when a copy into it fails, or is dropped before its end.
struct GivingUp<'a> {
    target: &'a Target<'a>,
    over: bool,
}

impl<'a> GivingUp<'a> {
    fn new(target: &'a Target<'a>) -> Self {
        GivingUp {
            target,
            over: false,
        }
    }

    fn end(mut self) {
        self.over = true;
    }
}

impl Drop for GivingUp<'_> {
    fn drop(&mut self) {
        if !self.over || self.target.has_failed() {
            self.target.give_up();
        }
    }
}

struct Executor<'a> {
    source: &'a dyn Source,
    targets: &'a [Target<'a>],
    /// One bound for all that moves, whatever the number of destinations (wire.md R6).
    transfers: &'a Lanes,
    declined: Declined,
}

/// Something to move, and the destinations that may lack it, by position.
struct Work<'a> {
    subject: Subject<'a>,
    wanted: Vec<usize>,
}

impl<'a> Executor<'a> {
    /// Executes the plans; `None` stands for a plan that could not be made.
    async fn execute(&self, plans: Vec<Option<Plan>>, options: &CopyOptions) {
        for (target, plan) in self.targets.iter().zip(&plans) {
            if let Some(plan) = plan {
                announce(target, plan);
            }
        }
        let works = union(&plans);
        for target in works.iter().flat_map(|work| self.wanting(work)) {
            target.lacks();
        }
        // More blobs are under way than are moved: the rest are being checked.
        let under_way = options.jobs() + options.checks();
        let moving =
            stream::iter(works)
                .map(Ok)
                .try_for_each_concurrent(under_way, |work| async move {
                    self.move_to_all(&work).await;
                    // Ends when all destinations have failed.
                    let failed = self.targets.iter().all(Target::has_failed);
                    if failed { Err(()) } else { Ok(()) }
                });
        // A destination that has everything does not wait for the others.
        let committing = self.targets.iter().zip(&plans);
        let committing = committing.map(|(target, plan)| async move {
            if let Some(plan) = plan {
                let commit = async {
                    target.has_all().await;
                    target.commit(plan).await
                };
                target.run(commit).await;
            }
        });
        // Boxed: the compiler cannot see yet that these are `Send` together
        // (rust-lang/rust#110338).
        let committing = committing.map(FutureExt::boxed).collect::<Vec<_>>();
        let _ = future::join(moving.boxed(), future::join_all(committing)).await;
    }

    /// The destinations that may lack it, failed ones included.
    fn wanting<'b>(&'b self, work: &'b Work<'_>) -> impl Iterator<Item = &'b Target<'a>> {
        work.wanted.iter().filter_map(|at| self.targets.get(*at))
    }

    async fn move_to_all(&self, work: &Work<'_>) {
        let wanted = self.wanting(work).filter(|target| !target.has_failed());
        let wanted: Vec<&Target<'_>> = wanted.collect();
        match work.subject {
            Subject::Content(descriptor) => {
                let confirming = self.confirm(descriptor, &wanted);
                future::join(confirming, self.move_blob(descriptor, &wanted)).await;
            }
            Subject::Layer(layer) => self.make_layer(layer, &wanted).await,
        }
    }

    /// Lets the source compare the blob with what it says of it. If they disagree, every
    /// destination that wants the blob fails; none commits before.
    async fn confirm(&self, descriptor: &Descriptor, wanted: &[&Target<'_>]) {
        let confirming = self.source.confirm(descriptor);
        let confirming =
            confirming.map(|confirmed| confirmed.map_err(|error| error.side(Side::Source)));
        let confirming = confirming.shared();
        let waiting = wanted.iter().map(|target| {
            target.lacks();
            async {
                target.run(confirming.clone()).await;
                target.lacks_one_less();
            }
        });
        future::join_all(waiting.collect::<Vec<_>>()).await;
    }

    /// Asks all destinations for the blob, and moves it to those that lack it.
    async fn move_blob(&self, descriptor: &Descriptor, wanted: &[&Target<'_>]) {
        let asking = wanted.iter().map(|&target| async move {
            // An error counts as the first try. A destination that takes too long is asked again,
            // alone.
            let asked = target.run(async { Ok(target.holding(descriptor).await) });
            let asked = match wanted {
                [_] => Ok(asked.await),
                _ => tokio::time::timeout(PATIENCE, asked).await,
            };
            let Ok(asked) = asked else {
                return Some((target, Known::Nothing));
            };
            match asked? {
                Ok(Holding::Whole) => {
                    target.there(descriptor, Outcome::Existed);
                    target.lacks_one_less();
                    None
                }
                answer => Some((target, Known::Answered(answer))),
            }
        });
        let asked = future::join_all(asking).await.into_iter().flatten();
        let lacking: Vec<(&Target<'_>, Known)> = asked.collect();
        if lacking.is_empty() {
            return;
        }
        let Ok(moving) = self.transfers.enter(Load::Known(descriptor.size)).await else {
            return;
        };
        let blob = unbroken(&self.source.blob(descriptor));
        let groups = Group::of(lacking, &self.declined);
        let (reading, shares) = BlobShare::of(&blob, groups.len());
        let (blob, declined) = (&blob, &self.declined);
        let sending = groups.into_iter().zip(shares);
        let sending = sending.map(|(group, share)| group.send(blob, share, declined));
        future::join(reading, all_within(sending.collect(), moving)).await;
    }

    /// Makes the layer once and moves it to all.
    async fn make_layer(&self, layer: &PendingLayer, wanted: &[&Target<'_>]) {
        let Ok(moving) = self.transfers.enter(Load::Unknown).await else {
            return;
        };
        let groups = Group::of_layer(layer, wanted, &self.declined);
        let (making, shares) = LayerShare::of(layer, groups.len());
        let sending = groups.into_iter().zip(shares);
        let sending = sending.map(|(group, share)| group.make(share, &self.declined));
        future::join(making, all_within(sending.collect(), moving)).await;
    }
}

/// Runs all of `work`. Releases the transfer permit `PATIENCE` after the first finishes, so that a
/// slow registry does not block other transfers.
async fn all_within<W: Future<Output = ()>>(
    mut work: FuturesUnordered<W>,
    place: SemaphorePermit<'_>,
) {
    let mut place = Some(place);
    if work.next().await.is_none() {
        return;
    }
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            done = work.next() => match done {
                Some(()) => {}
                None => return,
            },
            () = &mut patience, if place.is_some() => place = None,
        }
    }
}

/// Announces the plan, and the content that is there already.
fn announce(target: &Target<'_>, plan: &Plan) {
    for layer in &plan.pending {
        target.tell(Event::Expected(layer));
    }
    target.tell(Event::Planned {
        bytes: plan.bytes(),
        nodes: plan.nodes(),
    });
    for descriptor in &plan.existing {
        target.tell(Event::Finished(
            descriptor.into(),
            descriptor,
            Outcome::Existed,
        ));
    }
    target.will_move(plan);
    target.note(|summary| {
        summary.skipped = plan.skipped.len() as u64;
        summary.unchanged = plan.existing.len() as u64;
        summary.retagged = plan.retagged as u64;
    });
}

/// Everything that the plans move, each thing once: layers to make first, then the largest blobs.
fn union(plans: &[Option<Plan>]) -> Vec<Work<'_>> {
    let mut works: Vec<Work<'_>> = Vec::new();
    let mut layers: HashMap<&LayerKey, usize> = HashMap::new();
    let mut blobs: HashMap<&Digest, usize> = HashMap::new();
    let plans = || {
        plans
            .iter()
            .enumerate()
            .filter_map(|(at, plan)| Some((at, plan.as_ref()?)))
    };
    for (at, plan) in plans() {
        for layer in &plan.pending {
            let index = *layers.entry(layer.key()).or_insert(works.len());
            add(&mut works, index, layer.into(), at);
        }
    }
    let first = works.len();
    for (at, plan) in plans() {
        for blob in &plan.blobs {
            let index = *blobs.entry(&blob.digest).or_insert(works.len());
            add(&mut works, index, blob.into(), at);
        }
    }
    let size = |work: &Work<'_>| match work.subject {
        Subject::Content(descriptor) => descriptor.size,
        Subject::Layer(_) => 0,
    };
    // Each plan has its blobs in this order; several plans are merged.
    if let Some(blobs) = works.get_mut(first..) {
        blobs.sort_by_key(|work| std::cmp::Reverse(size(work)));
    }
    works
}

fn add<'a>(works: &mut Vec<Work<'a>>, index: usize, subject: Subject<'a>, wanted_by: usize) {
    match works.get_mut(index) {
        Some(work) => work.wanted.push(wanted_by),
        None => works.push(Work {
            subject,
            wanted: vec![wanted_by],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[tokio::test]
    async fn o8_a_copy_can_be_handed_to_another_thread() {
        let memory = crate::store::Memory::new();
        let options = CopyOptions::default();
        is_send(&copy(&memory, &memory, &[], &options));
    }
}
