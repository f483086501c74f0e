//! Names for images without one: the archive's name for it, else the name of the file.

use std::path::Path;

use wharf_oci::{Reference, RepositoryName};

use super::address::PathOrStdin;

/// The image's own name `own` without its registry; else the name of the file or directory.
pub(super) fn repository(own: Option<&str>, at: &PathOrStdin) -> RepositoryName {
    let own = own.and_then(|name| name.parse::<Reference>().ok());
    match own {
        Some(reference) => unqualified(&reference),
        None => from_place(at),
    }
}

/// `nginx` was not typed as `library/nginx`.
pub(super) fn unqualified(reference: &Reference) -> RepositoryName {
    let repository = reference.repository();
    let name = repository.name();
    let short = match repository.registry().is_docker_hub() {
        true => name
            .as_str()
            .strip_prefix("library/")
            .and_then(|name| name.parse().ok()),
        false => None,
    };
    short.unwrap_or_else(|| name.clone())
}

fn from_place(at: &PathOrStdin) -> RepositoryName {
    let stem = match at {
        PathOrStdin::Path(path) => stem(path),
        PathOrStdin::Stdin => None,
    };
    let name = stem.map(|stem| sanitised(&stem)).unwrap_or_default();
    name.parse().unwrap_or_else(|_| fallback())
}

fn fallback() -> RepositoryName {
    "image".parse().expect("a lower-case word is a name")
}

/// The last part of the path; `.` and `..` have a name too, once they are resolved.
fn stem(path: &Path) -> Option<String> {
    let resolved;
    let name = match path.file_name() {
        Some(name) => name,
        None => {
            resolved = path.canonicalize().ok()?;
            resolved.file_name()?
        }
    };
    let mut name = name.to_string_lossy().to_lowercase();
    while let Some(shorter) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
        name = shorter.to_owned();
    }
    Some(name)
}

const SUFFIXES: [&str; 7] = [".tar", ".tgz", ".gz", ".zst", ".xz", ".bz2", ".oci"];

/// Letters and digits, with single dashes for everything in between.
fn sanitised(stem: &str) -> String {
    stem.split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> String {
        from_place(&PathOrStdin::Path(path.into())).to_string()
    }

    #[test]
    fn a_path_gives_its_last_part_as_a_name() {
        for (path, name) in [
            ("examples/hello", "hello"),
            ("examples/hello/", "hello"),
            ("/a/Root FS.tar.gz", "root-fs"),
            ("a_b--c.tgz", "a-b-c"),
            ("___", "image"),
        ] {
            assert_eq!(named(path), name, "{path}");
        }
        assert_eq!(named("."), "wharf");
        assert_eq!(from_place(&PathOrStdin::Stdin).to_string(), "image");
    }

    #[test]
    fn a_reference_gives_its_repository_as_it_was_typed() {
        for (reference, name) in [
            ("nginx:1", "nginx"),
            ("ghcr.io/a/b:2", "a/b"),
            ("a/b", "a/b"),
            ("x.io/library/c", "library/c"),
        ] {
            assert_eq!(unqualified(&reference.parse().unwrap()).as_str(), name);
        }
    }
}
