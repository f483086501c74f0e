//! The trusted authorities of a client, in place of the system's.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Certificates;

/// Trusted authorities, in place of those that the library finds itself. Nothing is read before a
/// host shows a certificate, because a system has hundreds of files. Files that are missing or
/// hold no certificate are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Authorities that are in memory already.
    pub certificates: Certificates,
    /// Files of certificates in PEM.
    pub bundles: Vec<PathBuf>,
    /// Directories of such files. They are read only where no authority of the bundles issued the
    /// certificate of a host, since a system's directories mostly hold the same again.
    pub directories: Vec<PathBuf>,
}

impl Roots {
    /// Those in memory, and those of the bundles.
    pub(crate) fn near(&self) -> Certificates {
        let mut found = self.certificates.clone();
        for bundle in &self.bundles {
            found.extend(Certificates::collected(bundle).unwrap_or_default());
        }
        found
    }

    /// All, also those of the directories.
    pub(crate) fn all(&self) -> Certificates {
        let mut found = self.near();
        // A directory of OpenSSL has a link for each file.
        let mut seen = HashSet::new();
        for path in self
            .directories
            .iter()
            .flat_map(|directory| files(directory))
        {
            if fs::canonicalize(&path).is_ok_and(|file| seen.insert(file)) {
                found.extend(Certificates::collected(&path).unwrap_or_default());
            }
        }
        found
    }
}

impl From<Certificates> for Roots {
    fn from(certificates: Certificates) -> Self {
        Roots {
            certificates,
            ..Roots::default()
        }
    }
}

impl Certificates {
    /// Whether a file directly in `directory` has a certificate. Reads no further than that.
    pub fn are_in(directory: &Path) -> bool {
        files(directory).any(|path| Certificates::collected(&path).is_ok())
    }
}

fn files(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use wharf_testkit::Authority;

    use super::*;

    #[test]
    fn each_file_is_read_once_and_what_holds_no_certificate_is_skipped() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        let authority = |name: &str| {
            fs::write(place(name), Authority::new().certificate()).unwrap();
            Certificates::from_file(&place(name)).unwrap()
        };
        let bundled = authority("bundle.pem");
        fs::create_dir(place("certs")).unwrap();
        let filed = authority("certs/a.pem");
        fs::write(place("certs/README"), "no certificate").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(place("certs/a.pem"), place("certs/0a0a0a0a.0")).unwrap();
        let roots = Roots {
            bundles: vec![place("missing.pem"), place("bundle.pem")],
            directories: vec![place("missing"), place("certs")],
            ..Roots::default()
        };
        assert_eq!(roots.near(), bundled);
        let mut both = bundled;
        both.extend(filed);
        assert_eq!(roots.all(), both);
        assert!(Certificates::are_in(&place("certs")));
        assert!(!Certificates::are_in(&place("missing")));
    }
}
