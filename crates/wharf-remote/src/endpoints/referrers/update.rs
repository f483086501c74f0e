//! Changes the list of referrers under a tag, next to other writers.
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
use tokio::time::Instant;
use wharf_oci::{Descriptor, Digest, Tag};

use super::index::{ReferrersIndex, fallback_tag};
use super::lock_file;
use super::tag_list::{Written, read, write};
use crate::api::Api;
use crate::endpoints::manifests;
use wharf_core::store::{Beat, Effort};
use wharf_core::{Error, ErrorKind, Result};

/// A change of the list.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Add(Box<Descriptor>),
    Remove(Digest),
}

/// The most tries when other writers change the list too.
const TRIES: u32 = 40;

/// The most writes in a row that change nothing. One may be read back from an old copy.
const UNKEPT: u32 = 2;

/// No further try starts after this time.
const LONGEST: Duration = Duration::from_secs(120);

/// Entries that are checked at a time.
const CHECKS: usize = 8;

/// The wait before the next change grows between these limits, with jitter.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The first wait after an error.
pub(super) const BREAK: Duration = Duration::from_millis(250);

/// The last check waits this many times the time of reading and writing, within limits.
const LATER: u32 = 4;
const SOONEST_LOOK: Duration = Duration::from_millis(100);
const LATEST_LOOK: Duration = Duration::from_secs(3);

/// Changes the list under the tag, and makes sure that the change stays.
pub(super) async fn update(api: &Api, subject: &Digest, change: &Change) -> Result<()> {
    let tag = fallback_tag(subject)?;
    let key = (api.name().clone(), subject.clone());
    let _turn = api.host().referrer_turns().hold(key).await;
    let _lock = match api.host().locks() {
        Some(directory) => {
            let key = format!("{}\n{subject}", api.repository());
            lock_file::among_processes(directory, &key).await
        }
        None => None,
    };
    let mut known = ReferrersIndex::empty();
    let (mut wait, mut after_break) = (SHORTEST_WAIT, BREAK);
    let (begun, mut broken, mut unkept, mut tries) = (Instant::now(), 0, 0, 0);
    // When the first of the errors in a row was seen.
    let mut since = begun;
    let effort = api.host().pulse().begin(Beat::Write);
    loop {
        tries += 1;
        let error = match attempt(api, &tag, subject, change, &mut known).await {
            Ok(State::Stays) => return Ok(()),
            Ok(State::Unkept) => {
                (broken, unkept) = (0, unkept + 1);
                let message =
                    "the registry does not keep the list: after a write it reads as before";
                let error = Error::new(ErrorKind::Unsupported, message);
                error.transient(unkept < UNKEPT)
            }
            Ok(State::Changed) => {
                (broken, unkept) = (0, 0);
                let message = "others change it each time";
                Error::new(ErrorKind::Busy, message)
            }
            Err(error) => {
                broken += 1;
                if broken == 1 {
                    since = Instant::now();
                }
                error
            }
        };
        let broke_down = broken >= api.host().list_tries() && !endures(api, &error, since, &effort);
        let exhausted = broke_down || tries >= TRIES;
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

/// Whether trouble `since` then is the registry's as a whole, or a rate limit, so that time bounds
/// the tries and not their number (wire.md R1).
pub(super) fn endures(api: &Api, error: &Error, since: Instant, effort: &Effort<'_>) -> bool {
    effort.failed();
    let retry = api.host().retry();
    retry.endures(error, since, effort).is_some()
}

/// Waits before the next try, for longer each time.
pub(super) async fn pause(wait: &mut Duration, error: &Error) {
    let own = wait.mul_f64(0.5 + fastrand::f64());
    let asked = error.wait().unwrap_or_default().min(LONGEST_WAIT * 15);
    tokio::time::sleep(own.max(asked)).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}

/// The state of the list after a try.
enum State {
    /// The change is in and stays.
    Stays,
    /// Another writer has changed it.
    Changed,
    /// It is what it was before the write.
    Unkept,
}

/// Reads, changes, writes and checks the list. `known` has the entries of this writer that were not
/// deleted.
async fn attempt(
    api: &Api,
    tag: &Tag,
    subject: &Digest,
    change: &Change,
    known: &mut ReferrersIndex,
) -> Result<State> {
    let begun = Instant::now();
    let found = read(api, tag, subject).await?;
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
    let is_written = !is_so(&found.index);
    if is_written {
        match write(api, tag, &wanted, &found).await? {
            Written::Declined => return Ok(State::Changed),
            Written::Decided => return Ok(State::Stays),
            Written::Unsure => *known = wanted.clone(),
        }
        let now = read(api, tag, subject).await?;
        // A list that reads as before may be an old copy: the later look decides.
        if !is_so(&now.index) && !now.is_same(&found) {
            return Ok(State::Changed);
        }
    } else if known.is_empty() {
        // It was in this state before this writer began.
        return Ok(State::Stays);
    }
    let later = (begun.elapsed() * LATER).clamp(SOONEST_LOOK, LATEST_LOOK);
    tokio::time::sleep(later.mul_f64(1.0 + fastrand::f64())).await;
    let now = read(api, tag, subject).await?;
    Ok(match is_so(&now.index) {
        true => State::Stays,
        false if is_written && now.is_same(&found) => State::Unkept,
        false => State::Changed,
    })
}

/// Drops from `known` the entries that are no longer listed because they were deleted.
async fn drop_deleted(
    api: &Api,
    known: &mut ReferrersIndex,
    listed: &ReferrersIndex,
) -> Result<()> {
    let vanished = stream::iter(known.missing_from(listed)).map(|referrer| async move {
        let gone = manifests::is_gone(api, &referrer.digest).await?;
        Ok::<_, Error>(gone.then_some(referrer.digest))
    });
    let gone: Vec<_> = vanished.buffered(CHECKS).try_collect().await?;
    for digest in gone.into_iter().flatten() {
        known.remove(&digest);
    }
    Ok(())
}
