//! Explains a failed HEAD: its answer has no body, so a GET fetches the registry's error text.
//!
//! Sent once, and only if the work fails because of the HEAD: a GET of a manifest may count as a
//! pull.

use std::time::Duration;

use futures::FutureExt;
use http::Method;
use http::header::{ACCEPT, RANGE};
use url::Url;
use wharf_oci::manifest_accept;

use crate::answer;
use crate::api::Api;
use crate::transport::{Request, Response};
use wharf_core::Error;

/// How long the text may take in all: the error is known without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The GET to send.
#[derive(Clone, Debug)]
pub(crate) enum Get {
    Manifest(Url),
    /// With a range of one byte.
    Blob(Url),
}

impl Get {
    fn url(&self) -> &Url {
        match self {
            Get::Manifest(url) | Get::Blob(url) => url,
        }
    }

    fn request(self) -> Request {
        match self {
            Get::Manifest(url) => Request::new(Method::GET, url).header(ACCEPT, manifest_accept()),
            Get::Blob(url) => Request::new(Method::GET, url)
                .header(RANGE, "bytes=0-0")
                .verified(),
        }
    }
}

/// The error of an answer to HEAD. Sends no GET if the registry asks to wait.
pub(crate) async fn error(api: &Api, response: Response, get: Get) -> Error {
    let error = answer::error(response).await;
    match error.wait().unwrap_or_default().is_zero() {
        true => with_question(api, error, get),
        false => error,
    }
}

/// The error, which fetches the registry's text if the work fails because of it.
pub(crate) fn with_question(api: &Api, error: Error, get: Get) -> Error {
    let (api, transient) = (api.clone(), error.is_transient());
    error.question(move || {
        let (api, get) = (api.clone(), get.clone());
        async move {
            let ask = ask(&api, get, transient);
            tokio::time::timeout(PATIENCE, ask).await.ok()?
        }
        .boxed()
    })
}

/// The error of the GET, if it fails. A refusal is not answered: that of the HEAD was. Where only
/// HEAD fails, however often it is tried, the next try goes without it (wire.md section 11, rule 7).
async fn ask(api: &Api, get: Get, transient: bool) -> Option<Error> {
    let url = get.url().clone();
    let sent = api.send_once(get.request()).await;
    let response = sent
        .inspect_err(|error| tracing::debug!(%error, "no explanation"))
        .ok()?;
    let decides = response.status().is_success() || response.status().as_u16() == 404;
    match decides {
        true if transient => {
            api.host().heads().give_up(&url);
            Some(answer::error(response).await.moot())
        }
        _ if response.status().is_success() => None,
        _ => Some(answer::error(response).await),
    }
}
