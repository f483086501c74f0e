//! References: registry, repository, and tag or digest or both, as typed, with Docker Hub's
//! defaults filled in. A displayed reference parses back to itself.

use std::fmt;
use std::str::FromStr;

use crate::name::NAME_LIMIT;
use crate::registry::looks_like_registry;
use crate::text::{Printable, Quoted};
use crate::{Digest, DigestError, NameError, Registry, RegistryError, RepositoryName, Tag};

/// A reference as people type it: `nginx`, `ghcr.io/a/b:1`, `localhost:5000/a@sha256:…`.
///
/// The tag is `None` when none was typed; [`tag_or_latest`](Self::tag_or_latest) and
/// [`selector`](Self::selector) then give `latest`.
///
/// ```
/// use wharf_oci::Reference;
/// let reference: Reference = "nginx:1".parse()?;
/// assert_eq!(reference.to_string(), "docker.io/library/nginx:1");
/// assert_eq!(reference.repository().registry().endpoint_authority(), "index.docker.io");
/// # Ok::<(), wharf_oci::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// A reference of these parts.
    pub fn new(repository: Repository, tag: Option<Tag>, digest: Option<Digest>) -> Reference {
        Reference {
            repository,
            tag,
            digest,
        }
    }

    /// Registry and name of the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, when one was typed.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, when one was typed.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The tag, `latest` when none was typed.
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    /// What to look up in the repository: the digest, else the tag, else `latest`.
    pub fn selector(&self) -> Selector {
        match &self.digest {
            Some(digest) => Selector::Digest(digest.clone()),
            None => Selector::Tag(self.tag_or_latest()),
        }
    }

    /// The same repository with this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference::new(self.repository.clone(), None, Some(digest))
    }

    /// The same repository with this tag and no digest.
    pub fn with_tag(&self, tag: Tag) -> Reference {
        Reference::new(self.repository.clone(), Some(tag), None)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        parse(text).map_err(|problem| ReferenceError {
            text: text.to_owned(),
            problem,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// A named collection in a registry, `docker.io/library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: Registry,
    name: RepositoryName,
}

impl Repository {
    /// The repository of this name in this registry; `library/` is not added.
    ///
    /// # Errors
    /// When registry, slash and name together have more than 255 characters.
    pub fn new(registry: Registry, name: RepositoryName) -> Result<Repository, ReferenceError> {
        combine(registry.clone(), name.clone()).map_err(|problem| ReferenceError {
            text: format!("{registry}/{name}"),
            problem,
        })
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The name within the registry.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// As a reference, but without tag and digest.
    fn from_str(text: &str) -> Result<Repository, ReferenceError> {
        let reference: Reference = text.parse()?;
        if reference.tag.is_some() || reference.digest.is_some() {
            return Err(ReferenceError {
                text: text.to_owned(),
                problem: Problem::NotRepository,
            });
        }
        Ok(reference.repository)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// A tag, or a digest, within a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// The manifest that the tag names now.
    Tag(Tag),
    /// Exactly this content.
    Digest(Digest),
}

impl FromStr for Selector {
    type Err = ReferenceError;

    /// A digest if there is a colon, which no tag has; else a tag.
    fn from_str(text: &str) -> Result<Selector, ReferenceError> {
        let parsed = match text.contains(':') {
            true => text.parse().map(Selector::Digest).map_err(Problem::Digest),
            false => text.parse().map(Selector::Tag).map_err(Problem::Name),
        };
        parsed.map_err(|problem| ReferenceError {
            text: text.to_owned(),
            problem,
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Tag(tag) => tag.fmt(f),
            Selector::Digest(digest) => digest.fmt(f),
        }
    }
}

fn parse(text: &str) -> Result<Reference, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(Problem::Scheme {
            scheme: format!("{scheme}://"),
        });
    }
    let (rest, digest) = split_digest(text)?;
    let (path, tag) = split_tag(rest)?;
    let repository = repository(path)?;
    let tag = tag.map(str::parse).transpose().map_err(Problem::Name)?;
    Ok(Reference {
        repository,
        tag,
        digest,
    })
}

fn split_digest(text: &str) -> Result<(&str, Option<Digest>), Problem> {
    match text.split_once('@') {
        None => Ok((text, None)),
        Some((_, "")) => Err(Problem::EmptyDigest),
        Some((_, digest)) if digest.contains('@') => Err(Problem::TwoDigests),
        Some((rest, digest)) => Ok((rest, Some(digest.parse().map_err(Problem::Digest)?))),
    }
}

/// The tag follows a colon in the last part; an earlier colon belongs to a port.
fn split_tag(text: &str) -> Result<(&str, Option<&str>), Problem> {
    if text.starts_with('[') && !text.contains('/') {
        return Err(Problem::NoRepository);
    }
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text.get(last..).and_then(|part| part.find(':')) {
        None => Ok((text, None)),
        Some(colon) => {
            let (path, tag) = text.split_at(last + colon);
            Ok((path, tag.strip_prefix(':')))
        }
    }
}

fn repository(path: &str) -> Result<Repository, Problem> {
    let (registry, name) = match path.split_once('/') {
        Some((first, rest)) if looks_like_registry(first) => {
            (first.parse().map_err(Problem::Registry)?, rest)
        }
        _ => (Registry::docker_hub(), path),
    };
    if name.is_empty() {
        return Err(Problem::NoRepository);
    }
    let mut parsed: RepositoryName = name.parse().map_err(Problem::Name)?;
    if registry.is_docker_hub() && !name.contains('/') {
        parsed = format!("library/{name}").parse().map_err(Problem::Name)?;
    }
    combine(registry, parsed)
}

fn combine(registry: Registry, name: RepositoryName) -> Result<Repository, Problem> {
    let length = registry.as_str().len() + 1 + name.as_str().len();
    if length > NAME_LIMIT {
        return Err(Problem::Long { length });
    }
    Ok(Repository { registry, name })
}

/// The error of text that is not a reference, repository or selector. Names the wrong part and its
/// place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reference {}: {problem}", Quoted(text))]
pub struct ReferenceError {
    text: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("it is empty")]
    Empty,
    #[error(
        "a scheme is not part of a reference (leave out {})",
        Printable(scheme, 40)
    )]
    Scheme { scheme: String },
    #[error("no repository (registry/repository[:tag][@digest])")]
    NoRepository,
    #[error("a tag or digest is not allowed here (registry/repository)")]
    NotRepository,
    #[error("no digest after '@'")]
    EmptyDigest,
    #[error("more than one '@' (one digest is allowed)")]
    TwoDigests,
    #[error("registry and repository have {length} characters, at most {NAME_LIMIT} are allowed")]
    Long { length: usize },
    #[error("{0}")]
    Registry(RegistryError),
    #[error("{0}")]
    Name(NameError),
    #[error("{0}")]
    Digest(DigestError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn message(text: &str) -> String {
        text.parse::<Reference>().unwrap_err().to_string()
    }

    #[test]
    fn docker_hubs_defaults_are_filled_in() {
        for (text, canonical) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1", "docker.io/library/nginx:1"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx"),
            ("bitnami/redis", "docker.io/bitnami/redis"),
            ("ghcr.io/nginx", "ghcr.io/nginx"),
            ("localhost/nginx", "localhost/nginx"),
            ("localhost:5000", "docker.io/library/localhost:5000"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("[::1]:5000/a:b", "[::1]:5000/a:b"),
            ("Host/a", "Host/a"),
            ("GHCR.io/a", "ghcr.io/a"),
        ] {
            assert_eq!(reference(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn tag_and_digest_stand_together() {
        let both = reference(&format!("a.io/b:1@{DIGEST}"));
        assert_eq!(both.tag().unwrap().as_str(), "1");
        assert_eq!(both.digest().unwrap().to_string(), DIGEST);
        assert_eq!(both.selector().to_string(), DIGEST);
        assert_eq!(both.with_tag("2".parse().unwrap()).to_string(), "a.io/b:2");
        let other = Digest::of(b"other");
        assert_eq!(
            both.with_digest(other.clone()).to_string(),
            format!("a.io/b@{other}")
        );
    }

    #[test]
    fn latest_stands_in_only_when_asked_for() {
        let plain = reference("a.io/b");
        assert_eq!(plain.tag(), None);
        assert_eq!(plain.tag_or_latest(), Tag::latest());
        assert_eq!(plain.selector(), Selector::Tag(Tag::latest()));
        assert_eq!(reference("a.io/b:c").selector().to_string(), "c");
    }

    #[test]
    fn errors_name_the_part_and_the_place() {
        assert_eq!(
            message("Foo/bar:tag!"),
            r#"reference "Foo/bar:tag!": tag "tag!": character '!' is not allowed at position 4 (letters, digits, '_', '.', '-')"#
        );
        assert_eq!(
            message("Nginx"),
            r#"reference "Nginx": repository "Nginx": character 'N' is not allowed at position 1 (names are lower case)"#
        );
        assert_eq!(
            message("https://ghcr.io/a"),
            r#"reference "https://ghcr.io/a": a scheme is not part of a reference (leave out https://)"#
        );
        for (text, expected) in [
            ("", "it is empty"),
            ("a.io/", "no repository"),
            ("[::1]:5000", "no repository"),
            (":tag", "no repository"),
            ("@", "no digest after '@'"),
            ("/a", "empty at position 1"),
            ("a//b", "empty at position 3"),
            ("a:", "tag \"\": it is empty"),
            ("a@", "no digest after '@'"),
            ("a@sha256:00", "2 hex digits"),
            ("a@sha256", "no algorithm"),
            (
                "a:b:c",
                "tag \"b:c\": character ':' is not allowed at position 2",
            ),
            ("a.io:x/b", "registry \"a.io:x\": port \"x\""),
            (
                "::1/a",
                "registry \"::1\": too many ':' (put an IPv6 address in brackets)",
            ),
            ("user:secret/a", "port \"secret\""),
            (" a", "' ' is not allowed at position 1"),
            ("a\n", "'\\n' is not allowed at position 2"),
        ] {
            assert!(
                message(text).contains(expected),
                "{text}: {}",
                message(text)
            );
        }
        assert!(message(&format!("a@{DIGEST}@{DIGEST}")).contains("more than one '@'"));
        assert!(message(&format!("a:{}", "b".repeat(129))).contains("129 characters, at most 128"));
    }

    #[test]
    fn registry_and_name_have_at_most_255_characters_together() {
        let longest = format!("a.io/{}", "b".repeat(250));
        assert_eq!(reference(&longest).to_string(), longest);
        assert!(
            message(&format!("{longest}b"))
                .contains("have 256 characters, at most 255 are allowed")
        );
        let name: RepositoryName = "b".repeat(251).parse().unwrap();
        assert!(Repository::new("a.io".parse().unwrap(), name).is_err());
    }

    #[test]
    fn a_repository_has_neither_tag_nor_digest() {
        let repository: Repository = "nginx".parse().unwrap();
        assert_eq!(repository.to_string(), "docker.io/library/nginx");
        assert!("nginx:1".parse::<Repository>().is_err());
        assert!(format!("nginx@{DIGEST}").parse::<Repository>().is_err());
    }

    #[test]
    fn a_selector_is_a_digest_where_it_has_a_colon() {
        assert_eq!(DIGEST.parse(), Ok(Selector::Digest(Digest::of(b""))));
        assert_eq!("latest".parse(), Ok(Selector::Tag(Tag::latest())));
        assert!("a:b".parse::<Selector>().is_err());
        assert!("".parse::<Selector>().is_err());
    }

    proptest! {
        #[test]
        fn display_parses_back(
            registry in "((localhost|Host|[A-Za-z]{1,4}\\.[a-z]{2}|\\[::[0-9a-f]\\])(:[1-9][0-9]{0,3})?/)?",
            name in "[a-z0-9]{1,5}([._-][a-z0-9]{1,3})?(/[a-z0-9]{1,5}){0,2}",
            tag in "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,8})?",
            digest in "(@sha256:[0-9a-f]{64})?",
        ) {
            let parsed = reference(&format!("{registry}{name}{tag}{digest}"));
            prop_assert_eq!(parsed.tag().is_some(), !tag.is_empty());
            prop_assert_eq!(parsed.digest().is_some(), !digest.is_empty());
            prop_assert_eq!(parsed.to_string().parse::<Reference>(), Ok(parsed));
        }

        #[test]
        fn what_parses_at_all_parses_back(text in "[a-zA-Z0-9.:/@_\\[\\]-]{0,16}") {
            if let Ok(parsed) = text.parse::<Reference>() {
                prop_assert_eq!(parsed.to_string().parse::<Reference>(), Ok(parsed));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused_in_one_line(text: String) {
            if let Err(error) = text.parse::<Reference>() {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
}
