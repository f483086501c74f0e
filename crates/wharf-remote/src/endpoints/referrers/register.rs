//! Registers referrers with their subject: the registry lists them, or a list under a tag does
//! (distribution-spec: "Pushing Manifests with Subject", "Listing Referrers"; wire.md F2 to F5).

use tokio::time::Instant;
use wharf_oci::{Descriptor, Digest, Manifest};

use super::index::fallback_tag;
use super::native;
use super::tag_list::read;
use super::update::{BREAK, Change, endures, pause, update};
use crate::api::Api;
use crate::settings::ReferrersFallback;
use crate::transport::Response;
use wharf_core::store::Beat;
use wharf_core::{Error, ErrorKind, Result};

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
    if says_listed(answer, &subject.digest) {
        return Ok(());
    }
    let step = async {
        if is_supported(api, &subject.digest).await? {
            return Ok(());
        }
        if api.host().referrers_fallback() == ReferrersFallback::Refuse {
            let message = "the registry does not list referrers, and the fallback tag is \
                           disabled; the manifest is there";
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

/// Whether the answer to the PUT of a manifest says that it is listed as a referrer of `subject`:
/// `OCI-Subject` names just that. It says nothing of other manifests (wire.md F2).
fn says_listed(answer: &Response, subject: &Digest) -> bool {
    let named = answer.header("oci-subject");
    named.is_some_and(|named| {
        named
            .trim()
            .parse()
            .is_ok_and(|named: Digest| named == *subject)
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
        match update(api, subject, &Change::Remove(referrer.clone())).await {
            // There is no list in which it could be.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            done => done,
        }
    };
    // The manifest is gone: deleting it again would find nothing, and not repair the list.
    step.await.map_err(|error| error.transient(false))
}

/// The referrers of a subject, from the registry or from the list under the tag.
///
/// # Errors
/// The registry's error; [`ErrorKind::Invalid`] if its answer is not a list;
/// [`ErrorKind::Unsupported`] if it can have none.
pub(crate) async fn list(api: &Api, subject: &Digest) -> Result<Vec<Descriptor>> {
    if let Some(listed) = native::list(api, subject).await? {
        api.host().learn_referrers(true);
        return Ok(listed);
    }
    api.host().learn_referrers(false);
    let listing = read(api, &fallback_tag(subject)?, subject).await?;
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
    let (mut wait, mut tries, since) = (BREAK, 0, Instant::now());
    let effort = api.host().pulse().begin(Beat::Write);
    loop {
        tries += 1;
        let error = match native::is_there(api, subject).await {
            Ok(known) => {
                api.host().learn_referrers(known);
                return Ok(known);
            }
            Err(error) => error,
        };
        let exhausted = tries >= api.host().list_tries() && !endures(api, &error, since, &effort);
        if !error.is_transient() || exhausted {
            return Err(error.tries(tries));
        }
        pause(&mut wait, &error).await;
    }
}
