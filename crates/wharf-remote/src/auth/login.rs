//! Questions about credentials themselves: are they good, and what would be shown?

use http::Method;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use url::Url;
use wharf_oci::RepositoryName;

use super::authorizer::{Asker, Authorizer};
use super::challenge;
use super::scope::{Access, ScopeSet, for_push};
use crate::answer;
use crate::credentials::Secret;
use crate::transport::{Request, Transport};
use wharf_core::{Error, ErrorKind, Result};

/// What a registry said to credentials that it did not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// They are good.
    Good,
    /// It asked for none: nobody knows.
    NotAsked,
}

/// Shows the host the credentials it wants, with a question for nothing but its API
/// (distribution-spec: end-1).
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where they are not good.
pub(crate) async fn check(
    authorizer: &Authorizer,
    transport: &Transport,
    root: &Url,
) -> Result<Checked> {
    let ask = || Request::new(Method::GET, root.clone());
    let response = transport.exchange(ask()).await?;
    let demand = match response.status().as_u16() {
        401 => challenge::choose(response.all(WWW_AUTHENTICATE.as_str())),
        _ => None,
    };
    let Some(demand) = demand else {
        let refusal = authorizer.refusal(&response, None, &ScopeSet::default());
        let response = response.refused(refusal);
        answer::no_page(answer::expect(response, &[200]).await?).await?;
        return Ok(Checked::NotAsked);
    };
    let asker = Asker {
        transport,
        root,
        name: None,
    };
    let shown = authorizer
        .answer(asker, demand, &ScopeSet::default(), None)
        .await?;
    let request = match &shown {
        Some(shown) => ask().secret(AUTHORIZATION, &shown.header),
        None => ask(),
    };
    let response = transport.exchange(request).await?;
    let refusal = authorizer.refusal(&response, shown.as_ref(), &ScopeSet::default());
    let response = response.refused(refusal);
    answer::no_page(answer::expect(response, &[200]).await?).await?;
    Ok(Checked::Good)
}

/// What a request to the repository `name` shows: the value of `Authorization`.
///
/// # Errors
/// What [`check`] says; [`ErrorKind::NotFound`] where nothing need be shown, or there is nothing
/// to show.
pub(crate) async fn authorization(
    authorizer: &Authorizer,
    transport: &Transport,
    root: &Url,
    name: &RepositoryName,
    access: Access,
    sources: &[RepositoryName],
) -> Result<Secret> {
    let ask = Request::new(Method::GET, root.clone());
    let response = transport.exchange(ask).await?;
    let nothing = |why: &str| Error::new(ErrorKind::NotFound, why).target(authorizer.registry());
    let demand = match response.status().as_u16() {
        401 => challenge::choose(response.all(WWW_AUTHENTICATE.as_str())),
        _ => return Err(nothing("the registry wants no credentials")),
    };
    let demand =
        demand.ok_or_else(|| nothing("the registry wants credentials of an unknown kind"))?;
    // What the API as a whole would need is not what is asked for here.
    let demand = demand.without_scopes();
    let asker = Asker {
        transport,
        root,
        name: Some(name),
    };
    let scopes = for_push(name, access, sources);
    let shown = authorizer.answer(asker, demand, &scopes, None).await?;
    let missing = || nothing(&authorizer.without_words());
    Ok(shown.ok_or_else(missing)?.header)
}
