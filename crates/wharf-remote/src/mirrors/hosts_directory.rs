//! A directory of containerd's `hosts.toml` files, one for each registry ("Registry Host
//! Namespace").

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wharf_oci::Registry;

use super::hosts_file::{self, HostsFile};
use wharf_core::{Error, ErrorKind, Result};

/// The most bytes of a file.
const LIMIT: u64 = 1 << 20;

/// The directory for registries without their own.
const DEFAULT: &str = "_default";

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct HostsDirectory(PathBuf);

impl HostsDirectory {
    pub(crate) fn new(path: PathBuf) -> Self {
        HostsDirectory(path)
    }

    /// The file of a registry; `None` if there is none. Blocking.
    ///
    /// # Errors
    /// If the directory or a file cannot be read; [`ErrorKind::Invalid`], with line and column, if
    /// it is malformed.
    pub(super) fn read(&self, registry: &Registry) -> Result<Option<HostsFile>> {
        let found = std::fs::metadata(&self.0).and_then(|found| match found.is_dir() {
            true => Ok(()),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        found.map_err(|error| Error::io(self.0.display(), error))?;
        let directories = names(registry.as_str()).map(|name| self.0.join(name));
        // The first directory that exists counts, even if it is empty.
        let Some(directory) = directories.into_iter().find(|path| path.is_dir()) else {
            return Ok(None);
        };
        let path = directory.join("hosts.toml");
        let named = |error: Error| error.target(path.display());
        let Some(text) = text(&path).map_err(named)? else {
            return Ok(None);
        };
        tracing::debug!(%registry, file = %path.display(), "hosts are named");
        hosts_file::parse(&text, &directory)
            .map(Some)
            .map_err(named)
    }
}

/// The directories of a registry, `HOST` or `HOST:PORT`, in order of priority.
fn names(registry: &str) -> [String; 3] {
    // Colons in brackets belong to an address.
    let port = registry
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'));
    let portable = match port {
        Some((host, port)) => format!("{host}_{port}_"),
        None => registry.to_owned(),
    };
    [portable, registry.to_owned(), DEFAULT.to_owned()]
}

fn text(path: &Path) -> Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        let message = format!("more than {LIMIT} bytes");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let text = String::from_utf8(bytes);
    text.map(Some)
        .map_err(|_| Error::new(ErrorKind::Invalid, "not TOML: not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_registry_has_directories_by_several_names() {
        for (registry, expected) in [
            ("docker.io", "docker.io"),
            ("r.example:5000", "r.example_5000_"),
            ("[::1]:5000", "[::1]_5000_"),
            ("[::1]", "[::1]"),
        ] {
            let [first, second, last] = names(registry);
            assert_eq!(first, expected);
            assert_eq!((second.as_str(), last.as_str()), (registry, "_default"));
        }
    }

    #[test]
    fn fault_b11_a_file_where_a_directory_should_be_is_absent() {
        let root = tempfile::tempdir().unwrap();
        let directory = HostsDirectory::new(root.path().to_owned());
        let registry: Registry = "r.example".parse().unwrap();
        fs::write(root.path().join("r.example"), "").unwrap();
        assert!(directory.read(&registry).unwrap().is_none());
        let all = root.path().join("_default");
        fs::create_dir(&all).unwrap();
        fs::write(all.join("hosts.toml"), "[host.\"h.example\"]\n").unwrap();
        assert_eq!(directory.read(&registry).unwrap().unwrap().hosts.len(), 1);
        // The directory itself is named by the user.
        let named = HostsDirectory::new(root.path().join("r.example"));
        assert!(named.read(&registry).is_err());
    }

    #[test]
    fn the_first_directory_counts_even_when_it_is_empty() {
        let root = tempfile::tempdir().unwrap();
        let directory = HostsDirectory::new(root.path().to_owned());
        let registry: Registry = "r.example:5000".parse().unwrap();
        assert!(directory.read(&registry).unwrap().is_none());
        for (name, expected) in [
            ("_default", 1),
            ("r.example:5000", 2),
            ("r.example_5000_", 3),
        ] {
            let own = root.path().join(name);
            fs::create_dir(&own).unwrap();
            let hosts = (0..expected).map(|host| format!("[host.\"h{host}.example\"]\n"));
            fs::write(own.join("hosts.toml"), hosts.collect::<String>()).unwrap();
            let read = directory.read(&registry).unwrap().unwrap();
            assert_eq!(read.hosts.len(), expected);
        }
        fs::remove_file(root.path().join("r.example_5000_/hosts.toml")).unwrap();
        assert!(directory.read(&registry).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = HostsDirectory::new(root.path().join("nowhere"));
        let registry: Registry = "r.example".parse().unwrap();
        let error = missing.read(&registry).unwrap_err().to_string();
        assert!(
            error.ends_with("/nowhere: no such file or directory"),
            "{error}"
        );
        let own = root.path().join("r.example");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("hosts.toml"), "server = ").unwrap();
        let directory = HostsDirectory::new(root.path().to_owned());
        let error = directory.read(&registry).unwrap_err().to_string();
        assert!(
            error.contains("/r.example/hosts.toml: line 1, column "),
            "{error}"
        );
        fs::write(own.join("hosts.toml"), vec![b' '; 2 << 20]).unwrap();
        let error = directory.read(&registry).unwrap_err().to_string();
        assert!(
            error.ends_with("/r.example/hosts.toml: more than 1048576 bytes"),
            "{error}"
        );
    }
}
