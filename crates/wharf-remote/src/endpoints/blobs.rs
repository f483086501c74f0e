//! Blobs of a repository that are read or asked for (distribution-spec: "Pulling blobs",
//! "Checking if content exists in the registry").

use futures::{FutureExt, StreamExt, TryStreamExt};
use http::Method;
use http::header::RANGE;
use wharf_oci::{Descriptor, Digest};

use super::explain::{self, Get};
use crate::answer;
use crate::api::Api;
use crate::transport::{Request, Response};
use wharf_core::blob::{Blob, ByteStream};
use wharf_core::{Error, ErrorKind, Result};

/// A handle to a blob that is fetched when it is opened.
pub(crate) fn open(api: &Api, descriptor: &Descriptor) -> Blob {
    let origin = api.repository().clone();
    let (api, digest) = (api.clone(), descriptor.digest.clone());
    let blob = Blob::new(descriptor.clone(), move |offset| {
        let (api, digest) = (api.clone(), digest.clone());
        async move {
            let of = (digest.clone(), api.repository().clone());
            let named =
                move |error: Error| error.target(format_args!("blob {}", of.0)).target(&of.1);
            let stream = fetch(&api, &digest, offset).await.map_err(&named)?;
            let broken = move |error: Error| named(error.moving());
            Ok(stream.map_err(broken).boxed())
        }
        .boxed()
    });
    blob.with_name(&origin.to_string()).with_origin(origin)
}

/// Whether a blob is there. Answers that are neither yes nor no mean "unknown": it is sent then.
pub(crate) async fn contains(api: &Api, descriptor: &Descriptor) -> Result<bool> {
    let response = match head(api, &descriptor.digest).await {
        Ok(response) => response,
        // A redirect that leads nowhere, say (wire.md section 11, rule 7).
        Err(error) if says_nothing(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    match response.status().as_u16() {
        200 => Ok(length(&response).is_none_or(|length| length == descriptor.size)),
        404 => Ok(false),
        _ => {
            let error = unanswered(api, response, &descriptor.digest).await?;
            if error.is_transient() {
                Err(error)
            } else {
                Ok(false)
            }
        }
    }
}

/// Whether there was an answer, though none that is of use.
fn says_nothing(error: &Error) -> bool {
    let odd = matches!(error.kind(), ErrorKind::Refused | ErrorKind::Rejected);
    odd && !error.is_transient()
}

/// The size in bytes of a blob.
pub(crate) async fn size(api: &Api, digest: &Digest) -> Result<u64> {
    let response = head(api, digest).await?;
    if response.status().as_u16() != 200 {
        return Err(unanswered(api, response, digest).await?);
    }
    length(&response).ok_or_else(|| {
        Error::new(ErrorKind::Rejected, "answer has no Content-Length").target(response.endpoint())
    })
}

async fn head(api: &Api, digest: &Digest) -> Result<Response> {
    let url = api.urls().await?.blob(api.name(), digest);
    let request = Request::new(Method::HEAD, url).verified();
    api.send(request).await
}

/// The error that the answer to a HEAD stands for.
async fn unanswered(api: &Api, response: Response, digest: &Digest) -> Result<Error> {
    let url = api.urls().await?.blob(api.name(), digest);
    Ok(explain::error(api, response, Get::Blob(url)).await)
}

async fn fetch(api: &Api, digest: &Digest, offset: u64) -> Result<ByteStream> {
    let url = api.urls().await?.blob(api.name(), digest);
    let mut request = Request::new(Method::GET, url).verified();
    if offset > 0 {
        request = request.header(RANGE, &format!("bytes={offset}-"));
    }
    let response = answer::expect(api.send(request).await?, &[200, 206]).await?;
    // A registry that knows no ranges sends everything.
    let skip = if response.status().as_u16() == 200 {
        offset
    } else {
        0
    };
    Ok(after(response.stream(), skip))
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

fn length(response: &Response) -> Option<u64> {
    response.header("content-length")?.parse().ok()
}
