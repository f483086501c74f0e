//! The names of stored objects. They consist of checked types: no part of a key is unchecked text
//! from the network.

use wharf_oci::{Digest, RepositoryName, Tag};

/// The name of one object. Keys of one folder are ordered as their names or digests are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Marks that a repository exists. It has no content and is never deleted.
    Repository(RepositoryName),
    /// The content of a digest, for all repositories.
    Content(Digest),
    /// Records that a repository has a blob. It has no content.
    BlobLink(RepositoryName, Digest),
    /// Records that a repository has a manifest.
    ManifestLink(RepositoryName, Digest),
    /// Lists a manifest among the referrers of its subject.
    ReferrerLink {
        /// The repository of both.
        repository: RepositoryName,
        /// The digest that the referrer names as its subject.
        subject: Digest,
        /// The manifest that points at the subject.
        referrer: Digest,
    },
    /// Records which manifest a tag names.
    Tag(RepositoryName, Tag),
}

/// Keys that are listed together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Folder {
    /// All repositories.
    Repositories,
    /// All content.
    Pool,
    /// The blobs of a repository.
    BlobLinks(RepositoryName),
    /// The manifests of a repository.
    ManifestLinks(RepositoryName),
    /// The referrers of a subject in a repository.
    Referrers(RepositoryName, Digest),
    /// The tags of a repository.
    Tags(RepositoryName),
}

impl Key {
    /// The folder that lists this key.
    pub fn folder(&self) -> Folder {
        match self {
            Key::Repository(_) => Folder::Repositories,
            Key::Content(_) => Folder::Pool,
            Key::BlobLink(name, _) => Folder::BlobLinks(name.clone()),
            Key::ManifestLink(name, _) => Folder::ManifestLinks(name.clone()),
            Key::ReferrerLink {
                repository,
                subject,
                ..
            } => Folder::Referrers(repository.clone(), subject.clone()),
            Key::Tag(name, _) => Folder::Tags(name.clone()),
        }
    }

    /// Its path below the root, for drivers that name objects by path: format 2.
    pub fn path(&self) -> String {
        let folder = self.folder().path();
        match self {
            Key::Repository(name) => format!("{folder}/{name}"),
            Key::Content(digest) => {
                let (algorithm, hex) = (digest.algorithm(), digest.hex());
                format!("{folder}/{algorithm}/{}/{hex}", shard(hex))
            }
            Key::BlobLink(_, digest) | Key::ManifestLink(_, digest) => {
                format!("{folder}/{}", place(digest))
            }
            Key::ReferrerLink { referrer, .. } => {
                format!("{folder}/{}-{}", referrer.algorithm(), referrer.hex())
            }
            Key::Tag(_, tag) => format!("{folder}/{tag}"),
        }
    }

    /// The key with this path, if there is one. The path of a repository may also be the beginning
    /// of a longer name, so it gives no key.
    pub fn parse(path: &str) -> Option<Self> {
        let digest = |text: &str, separator| text.replacen(separator, ":", 1).parse().ok();
        if let Some(rest) = path.strip_prefix("blobs/") {
            let (algorithm, rest) = rest.split_once('/')?;
            let (directory, hex) = rest.split_once('/')?;
            let found: Digest = format!("{algorithm}:{hex}").parse().ok()?;
            return (directory == shard(hex)).then_some(Key::Content(found));
        }
        let rest = path.strip_prefix("repositories/")?;
        let (name, rest) = rest.split_once("/_")?;
        let (name, (folder, rest)) = (name.parse().ok()?, rest.split_once('/')?);
        Some(match folder {
            "blobs" => Key::BlobLink(name, digest(rest, "/")?),
            "manifests" => Key::ManifestLink(name, digest(rest, "/")?),
            "tags" => Key::Tag(name, rest.parse().ok()?),
            "referrers" => {
                let (subject, referrer) = rest.rsplit_once('/')?;
                Key::ReferrerLink {
                    repository: name,
                    subject: digest(subject, "/")?,
                    referrer: digest(referrer, "-")?,
                }
            }
            _ => return None,
        })
    }
}

impl Folder {
    /// The common beginning of the paths of its keys, before a slash. No component of a
    /// repository's name begins with `_`, so its folders cannot clash with other repositories.
    pub fn path(&self) -> String {
        match self {
            Folder::Repositories => "repositories".to_owned(),
            Folder::Pool => "blobs".to_owned(),
            Folder::BlobLinks(name) => format!("repositories/{name}/_blobs"),
            Folder::ManifestLinks(name) => format!("repositories/{name}/_manifests"),
            Folder::Referrers(name, subject) => {
                format!("repositories/{name}/_referrers/{}", place(subject))
            }
            Folder::Tags(name) => format!("repositories/{name}/_tags"),
        }
    }
}

fn place(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm(), digest.hex())
}

fn shard(hex: &str) -> &str {
    hex.get(..2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_format_2_and_are_read_back() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let name: RepositoryName = "team/app".parse().unwrap();
        let below = format!("repositories/{name}");
        for (key, path) in [
            (
                Key::Content(one.clone()),
                format!("blobs/sha256/{}/{}", &one.hex()[..2], one.hex()),
            ),
            (
                Key::BlobLink(name.clone(), one.clone()),
                format!("{below}/_blobs/sha256/{}", one.hex()),
            ),
            (
                Key::ManifestLink(name.clone(), one.clone()),
                format!("{below}/_manifests/sha256/{}", one.hex()),
            ),
            (
                Key::ReferrerLink {
                    repository: name.clone(),
                    subject: one.clone(),
                    referrer: two.clone(),
                },
                format!(
                    "{below}/_referrers/sha256/{}/sha256-{}",
                    one.hex(),
                    two.hex()
                ),
            ),
            (
                Key::Tag(name.clone(), "v1-rc".parse().unwrap()),
                format!("{below}/_tags/v1-rc"),
            ),
        ] {
            assert_eq!(key.path(), path);
            assert_eq!(Key::parse(&path), Some(key));
        }
        assert_eq!(Key::Repository(name.clone()).path(), below);
        for path in [
            below.as_str(),
            "format",
            "blobs/sha256/00",
            "repositories/../_tags/v1",
            "repositories/a/_tags/../x",
            "repositories/a/_blobs/sha256/00",
        ] {
            assert_eq!(Key::parse(path), None, "{path}");
        }
    }
}
