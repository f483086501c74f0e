//! Registers referrers with their subject: the registry lists them, or a list under a tag does
//! (distribution-spec: "Pushing Manifests with Subject", "Listing Referrers"; wire.md F2 to F5).
//!
//! # Why nothing is lost
//!
//! Several writers may read, change and put back the list under the tag at once. A registry that
//! decides conditions (`If-Match`) refuses a write to a changed list. Most registries do not, and
//! then a writer does not see what it overwrites. So every writer
//! - writes soon after it has read, and writes both what it reads and what it wrote before,
//! - reads the list back at once, and again after longer than a writer takes between reading and
//!   writing, and writes again if an entry is missing.
//!
//! An entry is lost only to a writer that reads before the entry is written and writes after that
//! last check. Writers that share a directory of locks wait for each other, so this needs a machine
//! that stalls between two requests for several times the usual time.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use http::header::{ACCEPT, IF_MATCH, IF_NONE_MATCH};
use tokio::time::Instant;
use wharf_oci::{Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest, MediaType, Selector, Tag};

use super::index::{ReferrersIndex, fallback_tag};
use super::native;
use crate::answer;
use crate::api::Api;
use crate::endpoints::manifests;
use crate::hosts::Optional;
use crate::settings::ReferrersFallback;
use crate::transport::{LaneKind, Request, Response};
use crate::turns;
use wharf_core::{Error, ErrorKind, Result};

/// A change of the list.
#[derive(Clone, Debug)]
enum Change {
    Add(Box<Descriptor>),
    Remove(Digest),
}

/// The most tries when other writers change the list too.
const TRIES: u32 = 40;

/// No further try starts after this time.
const LONGEST: Duration = Duration::from_secs(120);

/// Entries that are checked at a time.
const CHECKS: usize = 8;

/// The wait before the next change grows between these limits, with jitter.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The first wait after an error.
const BREAK: Duration = Duration::from_millis(250);

/// The last check waits this many times the time of reading and writing, within limits.
const LATER: u32 = 4;
const SOONEST_LOOK: Duration = Duration::from_millis(100);
const LATEST_LOOK: Duration = Duration::from_secs(3);

/// Makes sure that a manifest that was put is listed as a referrer of its subject. `answer` is the
/// registry's answer to the PUT. Retries by itself: the manifest is not put again (wire.md F5).
///
/// # Errors
/// The registry's last error; [`ErrorKind::Unsupported`] if it does not list referrers and the
/// fallback is disabled.
pub(crate) async fn register(api: &Api, manifest: &Manifest, answer: &Response) -> Result<()> {
    let Some(subject) = manifest.subject() else {
        return Ok(());
    };
    if answer.header("oci-subject").is_some() {
        api.host().learn_referrers(true);
        return Ok(());
    }
    let step = async {
        if is_supported(api, &subject.digest).await? {
            return Ok(());
        }
        if api.host().referrers_fallback() == ReferrersFallback::Refuse {
            let message = "the registry does not list referrers, and they are not to be listed \
                           under a tag; the manifest is there";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let change = Change::Add(Box::new(manifest.referrer_descriptor()));
        update(api, &subject.digest, &change).await
    };
    step.await.map_err(|error| {
        // This step was retried already; the manifest itself is in place.
        error
            .transient(false)
            .target(format_args!("referrers of {}", subject.digest))
    })
}

/// Removes a deleted manifest from the referrers of its subject.
///
/// # Errors
/// As [`register`].
pub(crate) async fn unregister(api: &Api, subject: &Digest, referrer: &Digest) -> Result<()> {
    let step = async {
        if is_supported(api, subject).await? {
            return Ok(());
        }
        update(api, subject, &Change::Remove(referrer.clone())).await
    };
    // The manifest is gone: deleting it again would find nothing, and not repair the list.
    step.await.map_err(|error| error.transient(false))
}

/// The referrers of a subject, from the registry or from the list under the tag.
///
/// # Errors
/// The registry's error; [`ErrorKind::Invalid`] if its answer is not a list.
pub(crate) async fn list(api: &Api, subject: &Digest) -> Result<Vec<Descriptor>> {
    if let Some(listed) = native::list(api, subject).await? {
        api.host().learn_referrers(true);
        return Ok(listed);
    }
    api.host().learn_referrers(false);
    let listing = read(api, &fallback_tag(subject)?).await?;
    Ok(listing.index.descriptors())
}

/// Whether the registry lists referrers itself. Asked until there is one definite answer.
async fn is_supported(api: &Api, subject: &Digest) -> Result<bool> {
    if let Some(known) = api.host().lists_referrers() {
        return Ok(known);
    }
    let _turn = api.host().asking_for_referrers().await;
    if let Some(known) = api.host().lists_referrers() {
        return Ok(known);
    }
    let (mut wait, mut tries) = (BREAK, 0);
    loop {
        tries += 1;
        let error = match native::is_there(api, subject).await {
            Ok(known) => {
                api.host().learn_referrers(known);
                return Ok(known);
            }
            Err(error) => error,
        };
        if !error.is_transient() || tries >= api.host().list_tries() {
            return Err(error.tries(tries));
        }
        pause(&mut wait, &error).await;
    }
}

/// Changes the list under the tag, and makes sure that the change stays.
async fn update(api: &Api, subject: &Digest, change: &Change) -> Result<()> {
    let tag = fallback_tag(subject)?;
    let key = (api.name().clone(), subject.clone());
    let _turn = api.host().referrer_turns().hold(key).await;
    let _lock = match api.host().locks() {
        Some(directory) => {
            let key = format!("{}\n{subject}", api.repository());
            turns::among_processes(directory, &key).await
        }
        None => None,
    };
    let mut known = ReferrersIndex::empty();
    let (mut wait, mut after_break) = (SHORTEST_WAIT, BREAK);
    let (begun, mut broken, mut tries) = (Instant::now(), 0, 0);
    loop {
        tries += 1;
        let error = match attempt(api, &tag, change, &mut known).await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                broken = 0;
                let message = "others change it each time, or the registry does not keep it";
                Error::new(ErrorKind::Busy, message)
            }
            Err(error) => {
                broken += 1;
                error
            }
        };
        let exhausted = broken >= api.host().list_tries() || tries >= TRIES;
        if !error.is_transient() || exhausted || begun.elapsed() >= LONGEST {
            return Err(error.tries(tries).target(&tag));
        }
        let wait = if broken > 0 {
            &mut after_break
        } else {
            &mut wait
        };
        pause(wait, &error).await;
    }
}

async fn pause(wait: &mut Duration, error: &Error) {
    let own = wait.mul_f64(0.5 + fastrand::f64());
    let asked = error.wait().unwrap_or_default().min(LONGEST_WAIT * 15);
    tokio::time::sleep(own.max(asked)).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}

/// Reads, changes, writes and checks the list. Returns whether the change is in and stays. `known`
/// has the entries of this writer that were not deleted.
async fn attempt(
    api: &Api,
    tag: &Tag,
    change: &Change,
    known: &mut ReferrersIndex,
) -> Result<bool> {
    let begun = Instant::now();
    let found = read(api, tag).await?;
    drop_deleted(api, known, &found.index).await?;
    let mut wanted = found.index.clone();
    wanted.merge(known);
    match change {
        Change::Add(referrer) => wanted.add(referrer),
        Change::Remove(digest) => wanted.remove(digest),
    }
    let is_so = |index: &ReferrersIndex| match change {
        Change::Add(_) => index.covers(&wanted),
        Change::Remove(digest) => !index.contains(digest) && index.covers(&wanted),
    };
    if is_so(&found.index) {
        if known.is_empty() {
            // It was so before we came.
            return Ok(true);
        }
    } else {
        match write(api, tag, &wanted, &found).await? {
            Written::Declined => return Ok(false),
            Written::Decided => return Ok(true),
            Written::Unsure => *known = wanted.clone(),
        }
        if !is_so(&read(api, tag).await?.index) {
            return Ok(false);
        }
    }
    let later = (begun.elapsed() * LATER).clamp(SOONEST_LOOK, LATEST_LOOK);
    tokio::time::sleep(later.mul_f64(1.0 + fastrand::f64())).await;
    Ok(is_so(&read(api, tag).await?.index))
}

/// Drops from `known` the entries that are no longer listed because they were deleted.
async fn drop_deleted(
    api: &Api,
    known: &mut ReferrersIndex,
    listed: &ReferrersIndex,
) -> Result<()> {
    let vanished = stream::iter(known.missing_from(listed)).map(|referrer| async move {
        let there = manifests::contains(api, &referrer).await?;
        Ok::<_, Error>((!there).then_some(referrer.digest))
    });
    let gone: Vec<_> = vanished.buffered(CHECKS).try_collect().await?;
    for digest in gone.into_iter().flatten() {
        known.remove(&digest);
    }
    Ok(())
}

/// What is under the tag.
struct TagList {
    index: ReferrersIndex,
    /// Its entity tag; `None` if there is no list, or the registry sends none.
    etag: Option<String>,
    there: bool,
}

async fn read(api: &Api, tag: &Tag) -> Result<TagList> {
    let url = api
        .urls()
        .await?
        .manifest(api.name(), &Selector::Tag(tag.clone()));
    let request =
        Request::new(Method::GET, url).header(ACCEPT, MediaType::OCI_IMAGE_INDEX.as_str());
    let response = api.send(request).await?;
    if response.status().as_u16() == 404 {
        return Ok(TagList {
            index: ReferrersIndex::empty(),
            etag: None,
            there: false,
        });
    }
    let response = answer::expect(response, &[200]).await?;
    let endpoint = response.endpoint().to_owned();
    let etag = response.header("etag").map(str::to_owned);
    let limit = usize::try_from(MAX_MANIFEST_SIZE).unwrap_or(usize::MAX);
    let bytes = response.bytes(limit).await?;
    let index = ReferrersIndex::parse(&bytes).map_err(|error| error.target(endpoint))?;
    Ok(TagList {
        index,
        etag,
        there: true,
    })
}

/// What became of a write.
enum Written {
    /// Written; the registry checked the condition.
    Decided,
    /// Written; the registry may have ignored the condition.
    Unsure,
    /// Not written: the list has changed meanwhile.
    Declined,
}

async fn write(api: &Api, tag: &Tag, index: &ReferrersIndex, found: &TagList) -> Result<Written> {
    let selector = Selector::Tag(tag.clone());
    if index.is_empty() && found.there {
        match delete_tag(api, &selector, found.etag.as_deref()).await? {
            Deleted::Gone => return Ok(Written::Unsure),
            Deleted::Changed => return Ok(Written::Declined),
            Deleted::Refused => {}
        }
    }
    let manifest = index.manifest()?;
    let mut request = manifests::put_request(api, &manifest, &selector).await?;
    request = match &found.etag {
        Some(etag) => request.header(IF_MATCH, etag),
        None if !found.there => request.header(IF_NONE_MATCH, "*"),
        None => request,
    };
    let response = api.send(request).await?;
    if response.status().as_u16() == 412 {
        return Ok(Written::Declined);
    }
    answer::expect(response, &[200, 201, 202]).await?;
    // Without that word a registry may send an ETag and ignore conditions.
    let checks = api.host().takes(Optional::Conditions);
    let decided = checks && (found.etag.is_some() || !found.there);
    Ok(if decided {
        Written::Decided
    } else {
        Written::Unsure
    })
}

/// The result of deleting an empty list.
enum Deleted {
    Gone,
    /// It is not empty any more.
    Changed,
    /// The registry does not delete tags.
    Refused,
}

async fn delete_tag(api: &Api, tag: &Selector, etag: Option<&str>) -> Result<Deleted> {
    let url = api.urls().await?.manifest(api.name(), tag);
    let mut request = Request::new(Method::DELETE, url).lane(LaneKind::Manifest);
    if let Some(etag) = etag {
        request = request.header(IF_MATCH, etag);
    }
    let response = api.send(request).await?;
    match response.status().as_u16() {
        200 | 202 | 204 | 404 => Ok(Deleted::Gone),
        412 => Ok(Deleted::Changed),
        _ => {
            let error = answer::error(response).await;
            match error.is_transient() {
                true => Err(error),
                false => Ok(Deleted::Refused),
            }
        }
    }
}
