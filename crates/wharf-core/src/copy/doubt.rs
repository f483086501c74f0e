//! Puts manifests, and repairs what is below one that the store refuses because content is unknown
//! to it (wire.md E6).
//!
//! What was believed until then is looked at again: the work below the manifest is planned anew as
//! with [`Existing::Check`], with no memory, no mount and no answer of before. What is missing is
//! sent. A store that says again that it has everything, and refuses the manifest again, gets what
//! this copy did not send yet. Then the refusal is the error.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Diagnostic, Digest, Manifest};

use super::lanes::Load;
use super::plan::Plan;
use super::retry::{self, Reach};
use super::share::BlobShare;
use super::target::{Known, Target, permit};
use crate::copy::{CopyOptions, Event, Existing, Retry};
use crate::store::{Holding, Names, Outcome};
use crate::{Error, Result, Side};

/// How often a store may refuse a manifest for the lack of content.
const REFUSALS: u32 = 3;

/// What was learned of one manifest from its refusals.
#[derive(Default)]
struct Doubt {
    refusals: u32,
    /// What was sent because of them.
    sent: HashSet<Digest>,
}

/// The content of a refused manifest, at one moment.
struct Evidence<'a> {
    /// All blobs below it that can be sent.
    blobs: &'a [Descriptor],
    /// Those of another length, or that the store says it lacks.
    lacking: &'a HashSet<Digest>,
    /// What the store names in its refusal.
    named: &'a HashSet<Digest>,
}

impl Target<'_> {
    /// Puts a manifest with all that is below it in the store.
    ///
    /// # Errors
    /// The last one, when there is no further try.
    pub(super) async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let mut doubt = Doubt::default();
        let mut below: Vec<Vec<Manifest>> = Vec::new();
        if !names.tags().is_empty() {
            self.tell(Event::Tagging(manifest.descriptor(), names.tags()));
        }
        loop {
            let refused = match self.put_with(&below, manifest, names).await {
                Ok(()) => break,
                Err(error) if lacks_content(&error) => error,
                Err(error) => return Err(error.side(Side::Destination)),
            };
            below = self.supply(manifest, &mut doubt, refused).await?;
        }
        self.is_put(manifest, names);
        Ok(())
    }

    /// Puts the manifests below one again, and then that one.
    async fn put_with(
        &self,
        below: &[Vec<Manifest>],
        manifest: &Manifest,
        names: Names<'_>,
    ) -> Result<()> {
        for group in below {
            stream::iter(group)
                .map(Ok)
                .try_for_each_concurrent(self.options.jobs(), |child| async move {
                    self.try_to_put(child, Names::Child).await?;
                    self.tell(Event::Joined(child.descriptor()));
                    self.is_put(child, Names::Child);
                    Ok::<_, Error>(())
                })
                .await?;
        }
        self.try_to_put(manifest, names).await
    }

    async fn try_to_put(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        let subject = manifest.descriptor();
        let notice = |again: &Retry<'_>| self.tell(Event::Retried(subject.into(), again));
        let put = || self.store.put_manifest(manifest, names);
        retry::run(self.trying(), put, &Reach::default(), notice).await
    }

    fn is_put(&self, manifest: &Manifest, names: Names<'_>) {
        let descriptor = manifest.descriptor();
        if !names.tags().is_empty() {
            self.tell(Event::Tagged(descriptor, names.tags()));
        }
        let finished = Event::Finished(descriptor.into(), descriptor, Outcome::Written);
        self.tell(finished);
        self.note(|summary| summary.manifests += names.tags().len().max(1) as u64);
    }

    /// Sends what a refused manifest lacks. Returns the manifests below it, to be put again.
    ///
    /// # Errors
    /// The refusal, when it stands; what the source or the store says.
    async fn supply(
        &self,
        manifest: &Manifest,
        doubt: &mut Doubt,
        refused: Error,
    ) -> Result<Vec<Vec<Manifest>>> {
        doubt.refusals += 1;
        let more = doubt.refusals < REFUSALS;
        if more {
            self.pause(manifest, doubt.refusals, &refused).await;
        }
        let options = CopyOptions {
            existing: Existing::Check,
            ..self.options.clone()
        };
        let made = self.manifests_made();
        let plan = Plan::below(self.source, self.store, manifest, made, &options).await?;
        if doubt.refusals == 1 {
            self.forget(manifest, &plan);
        }
        let lacking = self.lacking(&plan.blobs).await?;
        let named = named(&refused, manifest, &plan);
        let evidence = Evidence {
            blobs: &plan.blobs,
            lacking: &lacking,
            named: &named,
        };
        let moved = |digest: &Digest| self.has_sent(digest);
        let suspects = doubt.suspects(&evidence, moved);
        // It waits for what this copy sent, which the store shows by now.
        let waits = suspects.is_empty() && doubt.sent.is_empty() && all(&plan, moved);
        let most = match waits {
            true => self.options.retry.tries.max(REFUSALS),
            false => REFUSALS,
        };
        if doubt.refusals >= most || evidence.is_out_of_reach(&plan) {
            let mut lost: Vec<Digest> = named.union(&lacking).cloned().collect();
            lost.sort();
            let known = plan.blobs.iter().filter(|blob| lost.contains(&blob.digest));
            known.for_each(|blob| self.store.hints().forget(blob));
            let refused = refused.lost(lost).tries(doubt.refusals);
            return Err(refused.side(Side::Destination));
        }
        if !more {
            self.pause(manifest, doubt.refusals, &refused).await;
        }
        self.send_again(&suspects).await?;
        doubt
            .sent
            .extend(suspects.iter().map(|blob| blob.digest.clone()));
        Ok(plan.children)
    }

    /// Waits before the next try, as some registries show a blob a moment after they took it.
    async fn pause(&self, manifest: &Manifest, tries: u32, error: &Error) {
        let wait = self.options.retry.wait_after(tries, fastrand::f64());
        tracing::debug!(%error, ?wait, "content is unknown: planning anew, believing nothing");
        let again = Retry { tries, wait, error };
        let subject = manifest.descriptor().into();
        self.tell(Event::Retried(subject, &again));
        tokio::time::sleep(wait).await;
    }

    /// Forgets that the store has the manifest and what is below it.
    fn forget(&self, manifest: &Manifest, plan: &Plan) {
        let children = plan.children.iter().flatten().map(Manifest::descriptor);
        let content = children.chain(&plan.blobs).chain([manifest.descriptor()]);
        content.for_each(|content| self.store.hints().forget(content));
    }

    /// Those of `blobs` that the store does not have whole, by its word of now.
    async fn lacking(&self, blobs: &[Descriptor]) -> Result<HashSet<Digest>> {
        let asked = blobs.iter().map(|blob| async move {
            let _checking = permit(&self.checks).await?;
            let ask = || self.store.holding(blob);
            let holding = self.ask(ask).await;
            let holding = holding.map_err(|error| error.side(Side::Destination))?;
            Ok::<_, Error>((holding != Holding::Whole).then(|| blob.digest.clone()))
        });
        // Collected, because otherwise the compiler does not see that this is `Send`
        // (rust-lang/rust#102211).
        let asked: Vec<_> = asked.collect();
        let asked = stream::iter(asked).buffer_unordered(self.options.checks());
        let lacking: Vec<Option<Digest>> = asked.try_collect().await?;
        Ok(lacking.into_iter().flatten().collect())
    }

    /// Sends blobs whatever the store says of them.
    async fn send_again(&self, blobs: &[Descriptor]) -> Result<()> {
        let sending = blobs.iter().map(|blob| async move {
            let _moving = self.transfers.enter(Load::Known(blob.size)).await?;
            self.tell(Event::Joined(blob));
            self.take_back(blob);
            let content = self.content(blob);
            self.put(&BlobShare::alone(&content), Known::Refuted).await
        });
        let sending: Vec<_> = sending.collect();
        let sending = stream::iter(sending).buffer_unordered(self.options.jobs());
        sending.try_collect().await
    }
}

impl Doubt {
    /// What is to be sent: first what the store lacks by its own word; when it refuses the manifest
    /// all the same, what it names, or else all that this copy did not send.
    fn suspects(
        &self,
        evidence: &Evidence<'_>,
        moved: impl Fn(&Digest) -> bool,
    ) -> Vec<Descriptor> {
        let Evidence {
            blobs,
            lacking,
            named,
        } = evidence;
        let contradicts = self.refusals > 1 && lacking.is_empty();
        let suspect = |blob: &&Descriptor| {
            let digest = &blob.digest;
            let unsaid = match named.is_empty() {
                true => !moved(digest),
                false => named.contains(digest),
            };
            lacking.contains(digest) || contradicts && unsaid && !self.sent.contains(digest)
        };
        blobs.iter().filter(suspect).cloned().collect()
    }
}

impl Evidence<'_> {
    /// Whether the store misses only content that is no part of this copy, as a layer that must not
    /// be distributed.
    fn is_out_of_reach(&self, plan: &Plan) -> bool {
        let planned = |digest: &Digest| {
            let mut manifests = plan.children.iter().flatten();
            self.blobs.iter().any(|blob| blob.digest == *digest)
                || manifests.any(|manifest| manifest.digest() == digest)
        };
        !self.named.is_empty() && self.lacking.is_empty() && !self.named.iter().any(planned)
    }
}

/// Whether all blobs of the plan, and no manifests, are those that `moved` knows.
fn all(plan: &Plan, moved: impl Fn(&Digest) -> bool) -> bool {
    plan.children.is_empty() && plan.blobs.iter().all(|blob| moved(&blob.digest))
}

/// Whether a store refuses a manifest because it does not know content that the manifest links to
/// (distribution-spec: "Error Codes"). Registries say it with any of these codes.
fn lacks_content(error: &Error) -> bool {
    const CODES: [&str; 3] = ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"];
    const PHRASES: [&str; 2] = ["blob unknown", "unknown blob"];
    let says = |diagnostic: &Diagnostic| {
        let in_words = |text: &str| {
            let text = text.to_ascii_lowercase();
            PHRASES.iter().any(|phrase| text.contains(phrase))
        };
        let mut entries = diagnostic.errors.iter();
        entries.any(|entry| {
            let invalid = entry.code == "MANIFEST_INVALID";
            CODES.contains(&entry.code.as_str())
                || invalid && (in_words(&entry.message) || in_words(&entry.detail.to_string()))
        })
    };
    let refused = error
        .status()
        .is_some_and(|status| (400..500).contains(&status));
    refused && !error.is_transient() && error.diagnostic().is_some_and(says)
}

/// The content that a refusal names, of all that the manifest links to.
fn named(refused: &Error, manifest: &Manifest, plan: &Plan) -> HashSet<Digest> {
    let Some(diagnostic) = refused.diagnostic() else {
        return HashSet::new();
    };
    let entries = diagnostic.errors.iter();
    let texts = entries.flat_map(|entry| [entry.message.clone(), entry.detail.to_string()]);
    let text = texts.collect::<Vec<_>>().join(" ");
    let links = manifest
        .links()
        .into_iter()
        .map(|link| link.descriptor.digest);
    let blobs = plan.blobs.iter().map(|blob| blob.digest.clone());
    let children = plan.children.iter().flatten();
    let children = children.map(|manifest| manifest.digest().clone());
    let known = links.chain(blobs).chain(children);
    known
        .filter(|digest| text.contains(&digest.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use wharf_oci::MediaType;

    use super::*;
    use crate::ErrorKind;

    fn refused(status: u16, body: &str) -> Error {
        let diagnostic = Diagnostic::parse(body.as_bytes());
        Error::new(ErrorKind::Rejected, "no").answer(status, diagnostic)
    }

    #[test]
    fn fault_a1_content_is_unknown_by_any_of_its_codes() {
        for (status, code, message, expected) in [
            (400, "MANIFEST_BLOB_UNKNOWN", "", true),
            (404, "MANIFEST_BLOB_UNKNOWN", "", true),
            (404, "BLOB_UNKNOWN", "", true),
            (404, "MANIFEST_UNKNOWN", "", true),
            (
                400,
                "MANIFEST_INVALID",
                "Manifest references unknown blob",
                true,
            ),
            (400, "MANIFEST_INVALID", "no", false),
            (404, "NAME_UNKNOWN", "blob unknown", false),
            (500, "MANIFEST_BLOB_UNKNOWN", "", false),
        ] {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
            assert_eq!(
                lacks_content(&refused(status, &body)),
                expected,
                "{status} {code}"
            );
        }
        assert!(!lacks_content(&refused(404, "page not found")));
    }

    #[test]
    fn fault_a1_what_is_absent_is_sent_first_then_what_is_named_then_what_was_not_sent() {
        let blobs = ["a", "b", "c"]
            .map(|name| Descriptor::new(MediaType::OCTET_STREAM, Digest::of(name.as_bytes()), 1));
        let [a, b, c] = blobs.clone().map(|blob| blob.digest);
        let set = |digests: &[&Digest]| -> HashSet<Digest> {
            digests.iter().map(|digest| (*digest).clone()).collect()
        };
        // Refusals, lacking, named, sent before, and what is sent then.
        for (refusals, lacking, named, before, expected) in [
            (1, set(&[]), set(&[]), set(&[]), set(&[])),
            (1, set(&[]), set(&[&a]), set(&[]), set(&[])),
            (1, set(&[&b]), set(&[&a]), set(&[]), set(&[&b])),
            (2, set(&[]), set(&[&c]), set(&[]), set(&[&c])),
            (2, set(&[]), set(&[]), set(&[]), set(&[&a, &b])),
            (2, set(&[]), set(&[]), set(&[&a]), set(&[&b])),
            (2, set(&[&b]), set(&[]), set(&[&b]), set(&[&b])),
        ] {
            let doubt = Doubt {
                refusals,
                sent: before,
            };
            let evidence = Evidence {
                blobs: &blobs,
                lacking: &lacking,
                named: &named,
            };
            // The copy itself sent `c`.
            let suspects = doubt.suspects(&evidence, |digest| *digest == c);
            let suspects: HashSet<Digest> = suspects.into_iter().map(|blob| blob.digest).collect();
            assert_eq!(suspects, expected, "{refusals} {lacking:?} {named:?}");
        }
    }
}
