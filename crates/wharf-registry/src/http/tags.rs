//! Lists: tags of a repository, repositories of the registry.

use http::StatusCode;
use http::header::LINK;
use serde_json::json;
use wharf_core::ErrorKind;
use wharf_oci::{RepositoryName, Tag};

use super::page::Page;
use super::respond::{Answer, Code, Refusal, refuse, set, with_json};
use crate::{Caller, Registry};

/// distribution-spec: "Listing Tags".
pub(crate) async fn list(
    registry: &Registry,
    name: &RepositoryName,
    page: &Page<Tag>,
) -> Result<Answer, Box<Refusal>> {
    let tags = registry
        .storage
        .tags(name, page.after.as_ref(), page.limit + 1);
    let mut tags = tags.await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let message = format!("repository {name} is not known");
            Refusal::new(Code::NameUnknown, message)
        }
        _ => refuse(error, Code::NameUnknown),
    })?;
    let next = page.cut(&format!("/v2/{name}/tags/list"), &mut tags);
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    Ok(linked(
        &json!({ "name": name.as_str(), "tags": tags }),
        next,
    ))
}

/// The names of all repositories that the caller may pull from. A page may have fewer names than
/// it could, and a next page.
pub(crate) async fn catalog(
    registry: &Registry,
    caller: &Caller,
    page: &Page<RepositoryName>,
) -> Result<Answer, Box<Refusal>> {
    let names = registry
        .storage
        .repositories(page.after.as_ref(), page.limit + 1)
        .await;
    let mut names = names.map_err(|error| refuse(error, Code::NameUnknown))?;
    let next = page.cut("/v2/_catalog", &mut names);
    names.retain(|name| registry.may_pull(caller, name));
    let names: Vec<&str> = names.iter().map(RepositoryName::as_str).collect();
    Ok(linked(&json!({ "repositories": names }), next))
}

fn linked(document: &serde_json::Value, next: Option<String>) -> Answer {
    let mut answer = with_json(StatusCode::OK, document);
    if let Some(next) = next {
        set(&mut answer, LINK, &next);
    }
    answer
}
