//! Reads and checks blobs of a repository (distribution-spec: "Pulling blobs", "Checking if content
//! exists in the registry").

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use http::Method;
use http::header::{CONTENT_RANGE, RANGE};
use wharf_oci::{Descriptor, Digest, digits};

use super::explain::{self, Get};
use crate::answer;
use crate::api::Api;
use crate::transport::{Request, Response};
use wharf_core::blob::{Blob, ByteStream};
use wharf_core::store::Holding;
use wharf_core::{Error, ErrorKind, Result};

/// A handle to a blob that is fetched when it is opened.
pub(crate) fn open(api: &Api, descriptor: &Descriptor) -> Blob {
    let origin = api.repository().clone();
    let (parted, api, digest) = (api.clone(), api.clone(), descriptor.digest.clone());
    let blob = Blob::new(descriptor.clone(), move |offset| {
        let (api, digest) = (api.clone(), digest.clone());
        async move { Ok(part(&api, &digest, offset, None).await?.bytes) }.boxed()
    });
    let of = (parted, descriptor.digest.clone());
    let blob = blob.with_parts(move |begin, end| {
        let (api, digest) = of.clone();
        async move { exactly(&api, &digest, begin, end).await }.boxed()
    });
    blob.with_name(&origin.to_string()).with_origin(origin)
}

/// Whether a blob is there, of its length.
pub(crate) async fn contains(api: &Api, descriptor: &Descriptor) -> Result<bool> {
    Ok(holding(api, descriptor).await? == Holding::Whole)
}

/// What is there under the digest of a blob. An answer that is neither yes nor no counts as absent,
/// so the blob is sent.
pub(crate) async fn holding(api: &Api, descriptor: &Descriptor) -> Result<Holding> {
    let url = api.urls().await?.blob(api.name(), &descriptor.digest);
    if api.host().heads().are_given_up(&url) {
        return Ok(Holding::Absent);
    }
    let response = match head(api, &descriptor.digest).await {
        Ok(response) => response,
        // For example a redirect loop (wire.md section 11, rule 7).
        Err(error) if says_nothing(&error) => return Ok(Holding::Absent),
        Err(error) => return Err(error),
    };
    match response.status().as_u16() {
        200 => Ok(match length(&response) {
            Some(length) if length == descriptor.size => Holding::Whole,
            // Proxies and login pages answer anything.
            _ if answer::is_html(response.header("content-type")) => Holding::Absent,
            Some(length) => Holding::Other(length),
            None => Holding::Whole,
        }),
        404 => Ok(Holding::Absent),
        _ => {
            let error = unanswered(api, response, &descriptor.digest).await?;
            if error.is_transient() {
                Err(error)
            } else {
                Ok(Holding::Absent)
            }
        }
    }
}

/// Whether there was an answer, but not a usable one.
fn says_nothing(error: &Error) -> bool {
    let odd = matches!(error.kind(), ErrorKind::Refused | ErrorKind::Rejected);
    odd && !error.is_transient()
}

/// Whether a blob is there, by GET if the answer to HEAD says nothing.
pub(crate) async fn is_there(api: &Api, digest: &Digest) -> Result<bool> {
    let response = head(api, digest).await?;
    match response.status().as_u16() {
        200 => Ok(true),
        404 => Ok(false),
        _ => match unanswered(api, response, digest).await? {
            error if error.is_transient() => Err(error),
            _ => Ok(fetch(api, digest, 0, Some(1)).await.is_ok()),
        },
    }
}

/// The size in bytes of a blob, by GET if the answer to HEAD says nothing.
pub(crate) async fn size(api: &Api, digest: &Digest) -> Result<u64> {
    let url = api.urls().await?.blob(api.name(), digest);
    if !api.host().heads().are_given_up(&url) {
        let response = head(api, digest).await?;
        let status = response.status().as_u16();
        match (status, length(&response)) {
            (200, Some(length)) => return Ok(length),
            (200, None) => {}
            _ => {
                let error = unanswered(api, response, digest).await?;
                if error.is_transient() || status == 404 {
                    return Err(error);
                }
            }
        }
    }
    let part = fetch(api, digest, 0, Some(1)).await?;
    part.size.ok_or_else(|| {
        let message = "the registry states no size of the blob";
        Error::new(ErrorKind::Rejected, message).target(url.path())
    })
}

async fn head(api: &Api, digest: &Digest) -> Result<Response> {
    let url = api.urls().await?.blob(api.name(), digest);
    let request = Request::new(Method::HEAD, url).verified();
    api.send(request).await
}

/// The error of an answer to HEAD.
async fn unanswered(api: &Api, response: Response, digest: &Digest) -> Result<Error> {
    let url = api.urls().await?.blob(api.name(), digest);
    Ok(explain::error(api, response, Get::Blob(url)).await)
}

/// Bytes of a blob, as a registry sends them.
#[non_exhaustive]
pub struct BlobPart {
    /// The size of the whole blob, if the registry states it.
    pub size: Option<u64>,
    /// Whether the registry sends all bytes, whatever was requested.
    whole: bool,
    /// The requested bytes, unchecked.
    pub bytes: ByteStream,
}

/// The bytes of a blob from `start` to before `end`.
pub(crate) async fn part(
    api: &Api,
    digest: &Digest,
    start: u64,
    end: Option<u64>,
) -> Result<BlobPart> {
    let of = (digest.clone(), api.repository().clone());
    let named = move |error: Error| error.target(format_args!("blob {}", of.0)).target(&of.1);
    let BlobPart { size, bytes, whole } = fetch(api, digest, start, end).await.map_err(&named)?;
    let broken = move |error: Error| named(error.moving());
    Ok(BlobPart {
        size,
        whole,
        bytes: bytes.map_err(broken).boxed(),
    })
}

/// As [`part`], from a registry that has ranges: one that sends everything would do so for each part.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if it has none.
async fn exactly(api: &Api, digest: &Digest, start: u64, end: u64) -> Result<ByteStream> {
    let part = part(api, digest, start, Some(end)).await?;
    match part.whole {
        true => Err(Error::new(
            ErrorKind::Unsupported,
            "the registry has no ranges",
        )),
        false => Ok(part.bytes),
    }
}

async fn fetch(api: &Api, digest: &Digest, start: u64, end: Option<u64>) -> Result<BlobPart> {
    let url = api.urls().await?.blob(api.name(), digest);
    let mut request = Request::new(Method::GET, url).verified();
    let last = end.map(|end| end.saturating_sub(1));
    if start > 0 || end.is_some() {
        let last = last.map(|last| last.to_string()).unwrap_or_default();
        request = request.header(RANGE, &format!("bytes={start}-{last}"));
    }
    let response = answer::expect(api.send(request).await?, &[200, 206]).await?;
    // A registry without ranges sends everything.
    let whole = response.status().as_u16() == 200;
    let (skip, size) = match whole {
        true => (start, length(&response)),
        false => (0, total(&response, start)?),
    };
    let bytes = after(response.stream(), skip);
    let bytes = match end {
        Some(end) => first(bytes, end.saturating_sub(start)),
        None => bytes,
    };
    Ok(BlobPart { size, bytes, whole })
}

/// The size of the whole that the answer to a request for a range says.
///
/// # Errors
/// [`ErrorKind::Rejected`] if the answer has another range than the one from `start`.
fn total(response: &Response, start: u64) -> Result<Option<u64>> {
    let Some(range) = response.header(CONTENT_RANGE.as_str()) else {
        return Ok(None);
    };
    let other = || {
        let message = "the answer has another range of the blob than was requested";
        Error::new(ErrorKind::Rejected, message).target(response.endpoint())
    };
    let range = range.trim().strip_prefix("bytes ").ok_or_else(other)?;
    let (range, total) = range.split_once('/').ok_or_else(other)?;
    let first = range.split('-').next().and_then(digits);
    match first == Some(start) {
        true => Ok(digits(total)),
        false => Err(other()),
    }
}

/// The stream without its first `skip` bytes.
fn after(stream: ByteStream, mut skip: u64) -> ByteStream {
    stream
        .map_ok(move |mut chunk| {
            let dropped = skip.min(chunk.len() as u64);
            skip -= dropped;
            // At most the chunk's length, which is a usize.
            chunk.split_off(dropped as usize)
        })
        .boxed()
}

/// The first `left` bytes of the stream.
fn first(stream: ByteStream, left: u64) -> ByteStream {
    stream::try_unfold((stream, left), |(mut stream, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(mut chunk) = stream.next().await.transpose()? else {
            return Ok(None);
        };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left.saturating_sub(chunk.len() as u64);
        Ok(Some((chunk, (stream, left))))
    })
    .boxed()
}

fn length(response: &Response) -> Option<u64> {
    digits(response.header("content-length")?)
}
