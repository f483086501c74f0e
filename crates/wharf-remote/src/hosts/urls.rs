//! Builds every URL of the distribution API (distribution-spec: "Endpoints").

use url::Url;
use wharf_oci::{Digest, RepositoryName, Selector, Tag};

use crate::transport::append;
use wharf_core::{Error, ErrorKind, Result};

/// The root of a registry's API, to which paths are added.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    base: Url,
    /// The registry that is meant, if the host has content of several.
    namespace: Option<String>,
}

impl Urls {
    pub(crate) fn new(scheme: &str, authority: &str) -> Result<Self> {
        let base = Url::parse(&format!("{scheme}://{authority}/v2/"))
            .map_err(|_| Error::new(ErrorKind::Invalid, "not a host and port").target(authority))?;
        Ok(Urls {
            base,
            namespace: None,
        })
    }

    /// The API at `base`, which ends with a slash, on a host that may have the content of several
    /// registries; each request names the registry (containerd's documentation of its hosts,
    /// "Registry Host Namespace").
    pub(crate) fn of_mirror(base: Url, namespace: Option<String>) -> Self {
        Urls { base, namespace }
    }

    /// end-1: the API's root, which answers when a registry is there.
    pub(crate) fn root(&self) -> Url {
        self.base.clone()
    }

    /// The URL of a request for another root, at this root.
    pub(crate) fn moved(&self, url: &Url) -> Url {
        let mut moved = self.base.clone();
        moved.set_path(url.path());
        moved.set_query(url.query());
        moved
    }

    /// end-2, end-9, end-10: a blob.
    pub(crate) fn blob(&self, name: &RepositoryName, digest: &Digest) -> Url {
        self.at(format!("{name}/blobs/{digest}"))
    }

    /// end-4a: where uploads start.
    pub(crate) fn uploads(&self, name: &RepositoryName) -> Url {
        self.at(format!("{name}/blobs/uploads/"))
    }

    /// end-4b: an upload that is its own commit.
    pub(crate) fn upload_of(&self, name: &RepositoryName, digest: &Digest) -> Url {
        self.mount(name, &[("digest", digest.to_string())])
    }

    /// end-11: an upload that may be a mount, as `query` says.
    pub(crate) fn mount(&self, name: &RepositoryName, query: &[(&str, String)]) -> Url {
        let mut url = self.uploads(name);
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// end-3, end-7: a manifest.
    pub(crate) fn manifest(&self, name: &RepositoryName, at: &Selector) -> Url {
        self.at(format!("{name}/manifests/{at}"))
    }

    /// end-12: the referrers of a subject.
    pub(crate) fn referrers(&self, name: &RepositoryName, subject: &Digest) -> Url {
        self.at(format!("{name}/referrers/{subject}"))
    }

    /// end-8: a page of tags.
    pub(crate) fn tags(&self, name: &RepositoryName, after: Option<&Tag>, limit: usize) -> Url {
        let mut url = self.at(format!("{name}/tags/list"));
        url.query_pairs_mut().append_pair("n", &limit.to_string());
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("last", after.as_ref());
        }
        url
    }

    /// A page of repositories; no endpoint of the distribution spec.
    pub(crate) fn catalog(&self, limit: usize) -> Url {
        let mut url = self.at("_catalog".to_owned());
        url.query_pairs_mut().append_pair("n", &limit.to_string());
        url
    }

    /// Names, digests and tags have no character that needs escaping in a path.
    fn at(&self, path: String) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        if let Some(namespace) = &self.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        url
    }
}

/// The session URL with the digest that commits it. Keeps its query byte by byte, because signed
/// and order-sensitive URLs break otherwise (wire.md M4).
pub(crate) fn with_digest(session: &Url, digest: &Digest) -> Url {
    let mut url = session.clone();
    append(&mut url, &format!("digest={digest}"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m4_the_query_of_a_session_is_kept_as_it_is() {
        let digest = Digest::of(b"");
        for (session, before) in [
            ("https://r/u", "https://r/u?"),
            ("https://r/u?", "https://r/u?"),
            (
                "https://r/u?z=%2f+%20&a=b=&_state=AbC~",
                "https://r/u?z=%2f+%20&a=b=&_state=AbC~&",
            ),
        ] {
            let url = with_digest(&Url::parse(session).unwrap(), &digest);
            assert_eq!(url.as_str(), format!("{before}digest={digest}"));
        }
    }
}
