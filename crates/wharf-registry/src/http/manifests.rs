//! Reading, writing and deleting manifests: exact bytes in, exact bytes out.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use wharf_core::verify::blocking;
use wharf_core::{Error, ErrorKind};
use wharf_oci::{
    Descriptor, MAX_MANIFEST_SIZE, Manifest, ManifestError, MediaType, RepositoryName, Selector,
    Tag,
};

use super::body::{Document, RequestBody};
use super::conditions::{self, Verdict};
use super::respond::{
    Answer, Code, Refusal, add, created, empty, name_content, not_modified, refuse, set, streamed,
    with_bytes,
};
use super::route::Reading;
use crate::budget::{Portion, SMALL};
use crate::storage::Written;
use crate::{Referrers, Registry, Sizes};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// How many links of a manifest are checked at a time.
const CHECKS: usize = 8;

/// distribution-spec: "Pulling manifests".
pub(crate) async fn read(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    reading: Reading,
    headers: &HeaderMap,
) -> Result<Answer, Box<Refusal>> {
    match find(registry, name, at, reading, headers).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(conditions::failed(at)),
        Err(error) => Err(unknown(registry, name, at, error).await),
    }
}

/// `None` if the conditions of the request want other content.
async fn find(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    reading: Reading,
    headers: &HeaderMap,
) -> Result<Option<Answer>, Error> {
    let descriptor = registry.storage.resolve(name, at).await?;
    match conditions::of_read(headers, &descriptor.digest) {
        Verdict::Proceed => {}
        Verdict::Other => return Ok(None),
        Verdict::Known => return Ok(Some(not_modified(&descriptor.digest))),
    }
    let mut answer = match reading {
        Reading::Head => empty(StatusCode::OK),
        // Many clients may read large ones slowly.
        Reading::Get if descriptor.size > SMALL => {
            let stream = registry.storage.manifest_stream(name, &descriptor.digest);
            streamed(StatusCode::OK, stream.await?)
        }
        Reading::Get => {
            let manifest = registry.storage.manifest(name, &descriptor.digest).await?;
            with_bytes(StatusCode::OK, manifest.bytes().clone())
        }
    };
    set(&mut answer, CONTENT_LENGTH, &descriptor.size.to_string());
    set(&mut answer, CONTENT_TYPE, descriptor.media_type.as_str());
    name_content(&mut answer, &descriptor.digest);
    Ok(Some(answer))
}

/// The error of an absent manifest: it, or its whole repository, is unknown.
async fn unknown(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    error: Error,
) -> Box<Refusal> {
    if error.kind() != ErrorKind::NotFound {
        return refuse(error, Code::ManifestUnknown);
    }
    let code = match registry.storage.exists(name).await {
        Ok(true) => Code::ManifestUnknown,
        Ok(false) => Code::NameUnknown,
        Err(error) => return refuse(error, Code::NameUnknown),
    };
    Refusal::new(code, format!("manifest {at} of {name} is not known"))
}

/// distribution-spec: "Pushing Manifests".
pub(crate) async fn put(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    mut tags: Vec<Tag>,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Answer, Box<Refusal>> {
    let broken = |error| refuse(error, Code::ManifestInvalid);
    let Received {
        manifest,
        _held,
        _work,
    } = receive(registry, at, headers, body).await?;
    let (storage, digest) = (&registry.storage, manifest.digest());
    require_links(registry, name, &manifest).await?;
    let condition = conditions::of_write(headers, at);
    let further = tags.len();
    if let Selector::Tag(tag) = at {
        tags.push(tag.clone());
    }
    let put = storage.put_manifest(name, &manifest, &tags, condition.as_ref());
    if put.await.map_err(broken)? == Written::Declined {
        return Err(conditions::failed(at));
    }
    let mut answer = created(&format!("/v2/{name}/manifests/{digest}"), digest);
    name_content(&mut answer, digest);
    for tag in tags.iter().take(further) {
        add(&mut answer, TAG, tag.as_str());
    }
    // distribution-spec: "Pushing Manifests with Subject".
    if let (Some(subject), Referrers::On) = (manifest.subject(), registry.referrers) {
        set(&mut answer, SUBJECT, &subject.digest.to_string());
    }
    Ok(answer)
}

/// A manifest in a request, and what it takes of the budgets.
struct Received {
    manifest: Manifest,
    _held: Option<Portion>,
    _work: Option<Portion>,
}

/// The manifest in a request, to be put at `at`.
async fn receive(
    registry: &Registry,
    at: &Selector,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Received, Box<Refusal>> {
    let broken = |error| refuse(error, Code::ManifestInvalid);
    let budgets = &registry.budgets;
    let read = body.read_all(MAX_MANIFEST_SIZE, &budgets.held).await;
    let Document { bytes, portion } = read.map_err(broken)?.ok_or_else(|| {
        Refusal::new(
            Code::ManifestInvalid,
            format!("more than {MAX_MANIFEST_SIZE} bytes"),
        )
        .status(StatusCode::PAYLOAD_TOO_LARGE)
    })?;
    let size = bytes.len() as u64;
    let work = budgets.work.take(size).await.map_err(broken)?;
    let (carrier, at) = (content_type(headers), at.clone());
    let parse = move || match at {
        Selector::Tag(_) => Manifest::parse(carrier.as_ref(), bytes),
        Selector::Digest(digest) => Manifest::parse_as(carrier.as_ref(), bytes, &digest),
    };
    let parsed = match size > SMALL {
        true => blocking(parse).await.map_err(broken)?,
        false => parse(),
    };
    let manifest = parsed.map_err(|error| match error {
        ManifestError::Digest { .. } => Refusal::new(Code::DigestInvalid, error),
        _ => Refusal::new(Code::ManifestInvalid, error),
    })?;
    Ok(Received {
        manifest,
        _held: portion,
        _work: work,
    })
}

/// distribution-spec: "Deleting tags", "Deleting Manifests".
pub(crate) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    headers: &HeaderMap,
) -> Result<Answer, Box<Refusal>> {
    let deleted = match conditions::of_write(headers, at) {
        None => registry.storage.delete(name, at).await,
        Some(condition) => match registry.storage.delete_if(name, at, &condition).await {
            Ok(Written::Declined) => return Err(conditions::failed(at)),
            deleted => deleted.map(drop),
        },
    };
    match deleted {
        Ok(()) => Ok(empty(StatusCode::ACCEPTED)),
        Err(error) => Err(unknown(registry, name, at, error).await),
    }
}

/// The type that a request states, as it is: [`Manifest::parse`] judges it. Bytes that are not text
/// state nothing.
fn content_type(headers: &HeaderMap) -> Option<MediaType> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(MediaType::verbatim(text.trim()))
}

/// Refuses a manifest unless everything it links to is in the repository. A stated size that is
/// wrong is no reason by itself: the digest names the content (image-spec: "Descriptors"). Non-distributable layers
/// may be absent; schema 1 states too little about its layers to check them.
async fn require_links(
    registry: &Registry,
    name: &RepositoryName,
    manifest: &Manifest,
) -> Result<(), Box<Refusal>> {
    let mut seen = BTreeSet::new();
    // Of a large manifest, only what differs is copied.
    let wanted: Vec<Descriptor> = manifest
        .linked()
        .filter(|descriptor| descriptor.media_type.is_distributable())
        .filter(|descriptor| seen.insert((&descriptor.digest, descriptor.size)))
        .cloned()
        .collect();
    drop(seen);
    let checks = stream::iter(wanted).map(|descriptor| async move {
        match registry.storage.size_of(name, &descriptor).await {
            Ok(Some(size)) if size == descriptor.size => Ok(()),
            Ok(Some(size)) => wrong_size(registry.sizes, name, &descriptor, size),
            Ok(None) => Err(missing(&descriptor)),
            Err(error) => Err(refuse(error, Code::ManifestBlobUnknown)),
        }
    });
    checks.buffered(CHECKS).try_collect::<()>().await
}

/// Takes or refuses a descriptor of content that has `size` bytes.
fn wrong_size(
    sizes: Sizes,
    name: &RepositoryName,
    descriptor: &Descriptor,
    size: u64,
) -> Result<(), Box<Refusal>> {
    let (digest, stated) = (&descriptor.digest, descriptor.size);
    match sizes {
        Sizes::Lenient => {
            tracing::warn!(%name, %digest, stated, size, "a manifest states a wrong size");
            Ok(())
        }
        Sizes::Strict => {
            let message = format!("{digest} has {size} bytes, the manifest states {stated}");
            Err(Refusal::new(Code::SizeInvalid, message))
        }
    }
}

fn missing(descriptor: &Descriptor) -> Box<Refusal> {
    let message = format!("{} is not in this repository", descriptor.digest);
    Refusal::new(Code::ManifestBlobUnknown, message)
}
