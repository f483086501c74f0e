//! Checks credentials, and returns what would be sent.

use std::fmt;
use std::sync::Arc;

use http::Method;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use url::Url;
use wharf_oci::RepositoryName;

use super::asking::Asker;
use super::authorizer::Authorizer;
use super::challenge;
use super::scope::{Access, Needed, ScopeSet, for_push};
use super::token_answer::Grant;
use crate::answer;
use crate::credentials::Secret;
use crate::transport::{Request, Transport};
use wharf_core::{Error, ErrorKind, Result};

/// The result of a check of credentials that were not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// They are valid.
    Good,
    /// Unknown: the registry asked for none.
    NotAsked,
}

/// Sends the host the required credentials, with a request for its API root (distribution-spec:
/// end-1).
///
/// # Errors
/// [`ErrorKind::Unauthorized`] if they are not valid.
pub(crate) async fn check(
    authorizer: &Authorizer,
    transport: &Transport,
    root: &Url,
) -> Result<Checked> {
    let ask = || Request::new(Method::GET, root.clone());
    let needed = Needed::exactly(Method::GET, ScopeSet::default());
    let response = transport.exchange(ask()).await?;
    let demand = match response.status().as_u16() {
        401 => challenge::choose(response.all(WWW_AUTHENTICATE.as_str())),
        _ => None,
    };
    let Some(demand) = demand else {
        let refusal = authorizer.refusal(&response, None, &needed);
        let response = response.refused(refusal);
        answer::no_page(answer::expect(response, &[200]).await?).await?;
        return Ok(Checked::NotAsked);
    };
    let asker = Asker {
        transport,
        root,
        name: None,
    };
    let shown = authorizer.answer(asker, demand, &needed, None).await?;
    let request = match &shown {
        Some(shown) => ask().secret(AUTHORIZATION, &shown.header),
        None => ask(),
    };
    let response = transport.exchange(request).await?;
    let refusal = authorizer.refusal(&response, shown.as_ref(), &needed);
    let response = response.refused(refusal);
    answer::no_page(answer::expect(response, &[200]).await?).await?;
    Ok(Checked::Good)
}

/// What another program needs for requests to a repository.
#[derive(Clone)]
pub struct Granted {
    /// The value of the header `Authorization`.
    pub header: Secret,
    /// The answer of the token server, if the header has a token of one.
    pub grant: Option<Arc<Grant>>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// The authorization of a request to the repository `name`.
///
/// # Errors
/// As [`check`]; [`ErrorKind::NotFound`] if no credentials are required, or there are none.
pub(crate) async fn authorization(
    authorizer: &Authorizer,
    transport: &Transport,
    root: &Url,
    name: &RepositoryName,
    access: Access,
    sources: &[RepositoryName],
) -> Result<Granted> {
    let ask = Request::new(Method::GET, root.clone());
    let response = transport.exchange(ask).await?;
    let nothing = |why: &str| Error::new(ErrorKind::NotFound, why).target(authorizer.registry());
    let demand = match response.status().as_u16() {
        401 => challenge::choose(response.all(WWW_AUTHENTICATE.as_str())),
        _ => return Err(nothing("the registry requires no credentials")),
    };
    let demand =
        demand.ok_or_else(|| nothing("the registry requires credentials of an unknown kind"))?;
    // The scopes for the API root are not the wanted ones.
    let demand = demand.without_scopes();
    let asker = Asker {
        transport,
        root,
        name: Some(name),
    };
    let needed = Needed::exactly(Method::GET, for_push(name, access, sources));
    let shown = authorizer.answer(asker, demand, &needed, None).await?;
    let missing = || nothing(&authorizer.without_words());
    let shown = shown.ok_or_else(missing)?;
    Ok(Granted {
        header: shown.header,
        grant: shown.grant,
    })
}
