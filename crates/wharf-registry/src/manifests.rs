//! Reading and writing manifests: exact bytes in, exact bytes out.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use wharf::oci::{
    Descriptor, MAX_MANIFEST_SIZE, Manifest, ManifestError, MediaType, RepositoryName, Selector,
};
use wharf::store::Store;
use wharf::{Error, ErrorKind};

use crate::Registry;
use crate::body::RequestBody;
use crate::respond::{
    Answer, CONTENT_DIGEST, Code, Refusal, created, empty, refuse, set, with_bytes,
};
use crate::route::Reading;

/// Questions to the storage at a time about what a manifest links to.
const CHECKS: usize = 8;

/// distribution-spec: "Pulling manifests".
pub(crate) async fn read(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    reading: Reading,
) -> Result<Answer, Box<Refusal>> {
    match find(registry, name, at, reading).await {
        Ok(answer) => Ok(answer),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let known = registry.storage.exists(name).await;
            let known = known.map_err(|error| refuse(error, Code::NameUnknown))?;
            let code = if known {
                Code::ManifestUnknown
            } else {
                Code::NameUnknown
            };
            Err(Refusal::new(
                code,
                format!("manifest {at} of {name} is not known"),
            ))
        }
        Err(error) => Err(refuse(error, Code::ManifestUnknown)),
    }
}

async fn find(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    reading: Reading,
) -> Result<Answer, Error> {
    let repository = registry.storage.repository(name).await?;
    let descriptor = repository.resolve(at).await?;
    let mut answer = match reading {
        Reading::Head => empty(StatusCode::OK),
        Reading::Get => {
            let manifest = repository.manifest(&descriptor).await?;
            with_bytes(StatusCode::OK, manifest.bytes().clone())
        }
    };
    set(&mut answer, CONTENT_LENGTH, &descriptor.size.to_string());
    set(&mut answer, CONTENT_TYPE, descriptor.media_type.as_str());
    set(&mut answer, CONTENT_DIGEST, &descriptor.digest.to_string());
    set(&mut answer, ETAG, &format!("\"{}\"", descriptor.digest));
    Ok(answer)
}

/// distribution-spec: "Pushing Manifests".
pub(crate) async fn put(
    registry: &Registry,
    name: &RepositoryName,
    at: &Selector,
    headers: &HeaderMap,
    body: &RequestBody,
) -> Result<Answer, Box<Refusal>> {
    let broken = |error| refuse(error, Code::ManifestInvalid);
    let bytes = body.read_all(MAX_MANIFEST_SIZE).await.map_err(broken)?;
    let bytes = bytes.ok_or_else(|| {
        Refusal::new(
            Code::ManifestInvalid,
            format!("more than {MAX_MANIFEST_SIZE} bytes"),
        )
        .status(StatusCode::PAYLOAD_TOO_LARGE)
    })?;
    let carrier = content_type(headers)?;
    let (parsed, tag) = match at {
        Selector::Tag(tag) => (Manifest::parse(carrier.as_ref(), bytes), Some(tag)),
        Selector::Digest(digest) => (Manifest::parse_as(carrier.as_ref(), bytes, digest), None),
    };
    let manifest = parsed.map_err(|error| match error {
        ManifestError::Digest { .. } => Refusal::new(Code::DigestInvalid, error),
        _ => Refusal::new(Code::ManifestInvalid, error),
    })?;
    let repository = registry.storage.repository(name).await.map_err(broken)?;
    require_links(&*repository, &manifest).await?;
    repository
        .put_manifest(&manifest, tag)
        .await
        .map_err(broken)?;
    let digest = manifest.digest();
    Ok(created(&format!("/v2/{name}/manifests/{digest}"), digest))
}

fn content_type(headers: &HeaderMap) -> Result<Option<MediaType>, Box<Refusal>> {
    let invalid = |error: &dyn ToString| Refusal::new(Code::ManifestInvalid, error.to_string());
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|error| invalid(&error))?;
    MediaType::from_content_type(text)
        .map(Some)
        .map_err(|error| invalid(&error))
}

/// A manifest is taken only when everything it links to is in the repository. Layers that must
/// not be distributed need not be; schema 1 says too little about its layers to ask.
async fn require_links(store: &dyn Store, manifest: &Manifest) -> Result<(), Box<Refusal>> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<Descriptor> = manifest
        .links()
        .into_iter()
        .map(|link| link.descriptor)
        .filter(|descriptor| descriptor.media_type.is_distributable())
        .filter(|descriptor| seen.insert((descriptor.digest.clone(), descriptor.size)))
        .collect();
    let checks = stream::iter(wanted).map(|descriptor| async move {
        match store.contains(&descriptor).await {
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
