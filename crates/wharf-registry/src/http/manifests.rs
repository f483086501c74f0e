//! Reading, writing and deleting manifests: exact bytes in, exact bytes out.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, StatusCode};
use wharf_core::{Error, ErrorKind};
use wharf_oci::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest, ManifestError, MediaType, RepositoryName,
    Selector, Tag,
};

use super::body::RequestBody;
use super::conditions;
use super::respond::{
    Answer, CONTENT_DIGEST, Code, Refusal, add, created, empty, refuse, set, with_bytes,
};
use super::route::Reading;
use crate::storage::{Storage, Written};
use crate::{Referrers, Registry};

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
        Ok(answer) => Ok(answer),
        Err(error) => Err(unknown(registry, name, at, error).await),
    }
}

async fn find(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    reading: Reading,
    headers: &HeaderMap,
) -> Result<Answer, Error> {
    let descriptor = registry.storage.resolve(name, at).await?;
    if conditions::is_known(headers, &descriptor.digest) {
        let mut answer = empty(StatusCode::NOT_MODIFIED);
        name_content(&mut answer, &descriptor.digest);
        return Ok(answer);
    }
    let mut answer = match reading {
        Reading::Head => empty(StatusCode::OK),
        Reading::Get => {
            let manifest = registry.storage.manifest(name, &descriptor.digest).await?;
            with_bytes(StatusCode::OK, manifest.bytes().clone())
        }
    };
    set(&mut answer, CONTENT_LENGTH, &descriptor.size.to_string());
    set(&mut answer, CONTENT_TYPE, descriptor.media_type.as_str());
    name_content(&mut answer, &descriptor.digest);
    Ok(answer)
}

fn name_content(answer: &mut Answer, digest: &Digest) {
    set(answer, CONTENT_DIGEST, &digest.to_string());
    set(answer, ETAG, &format!("\"{digest}\""));
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
    let manifest = receive(at, headers, body).await?;
    let (storage, digest) = (&registry.storage, manifest.digest());
    require_links(storage, name, &manifest).await?;
    let condition = conditions::of_write(headers, at);
    let further = tags.len();
    if let Selector::Tag(tag) = at {
        tags.push(tag.clone());
    }
    let put = storage.put_manifest(name, &manifest, &tags, condition.as_ref());
    if put.await.map_err(broken)? == Written::Declined {
        let message = format!("the condition on {at} does not hold");
        return Err(Refusal::new(Code::Denied, message).status(StatusCode::PRECONDITION_FAILED));
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

/// The manifest in a request, to be put at `at`.
async fn receive(
    at: &Selector,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Manifest, Box<Refusal>> {
    let bytes = body.read_all(MAX_MANIFEST_SIZE).await;
    let bytes = bytes.map_err(|error| refuse(error, Code::ManifestInvalid))?;
    let bytes = bytes.ok_or_else(|| {
        Refusal::new(
            Code::ManifestInvalid,
            format!("more than {MAX_MANIFEST_SIZE} bytes"),
        )
        .status(StatusCode::PAYLOAD_TOO_LARGE)
    })?;
    let carrier = content_type(headers);
    let parsed = match at {
        Selector::Tag(_) => Manifest::parse(carrier.as_ref(), bytes),
        Selector::Digest(digest) => Manifest::parse_as(carrier.as_ref(), bytes, digest),
    };
    parsed.map_err(|error| match error {
        ManifestError::Digest { .. } => Refusal::new(Code::DigestInvalid, error),
        _ => Refusal::new(Code::ManifestInvalid, error),
    })
}

/// distribution-spec: "Deleting tags", "Deleting Manifests".
pub(crate) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
) -> Result<Answer, Box<Refusal>> {
    match registry.storage.delete(name, at).await {
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

/// Refuses a manifest unless everything it links to is in the repository. Non-distributable layers
/// may be absent; schema 1 states too little about its layers to check them.
async fn require_links(
    storage: &Storage,
    name: &RepositoryName,
    manifest: &Manifest,
) -> Result<(), Box<Refusal>> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<Descriptor> = manifest
        .links()
        .into_iter()
        .map(|link| link.descriptor)
        .filter(|descriptor| descriptor.media_type.is_distributable())
        .filter(|descriptor| seen.insert((descriptor.digest.clone(), descriptor.size)))
        .collect();
    let checks = stream::iter(wanted).map(|descriptor| async move {
        match storage.contains(name, &descriptor).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(missing(&descriptor)),
            Err(error) => Err(refuse(error, Code::ManifestBlobUnknown)),
        }
    });
    checks.buffered(CHECKS).try_collect::<()>().await
}

fn missing(descriptor: &Descriptor) -> Box<Refusal> {
    let Descriptor { digest, size, .. } = descriptor;
    let message = format!("{digest} of {size} bytes is not in this repository");
    Refusal::new(Code::ManifestBlobUnknown, message)
}
