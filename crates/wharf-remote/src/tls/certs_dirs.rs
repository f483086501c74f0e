//! Directories of certificates by host, as in Docker and Podman (containers-certs.d(5)):
//! `HOST[:PORT]/` with authorities in `*.crt`, and client certificates in `NAME.cert`, `NAME.key`.

use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use super::{Certificates, Identity, Tls, TlsSource};
use wharf_core::{Error, ErrorKind, Result};

/// The most files in the directory of one host.
const FILES: usize = 1000;

/// Directories to search for a host's directory; the first that has one counts.
#[derive(Clone, Debug)]
pub struct CertsDirs(Vec<PathBuf>);

impl CertsDirs {
    /// Searches these, most important first. Each may be missing.
    pub fn new(directories: Vec<PathBuf>) -> Self {
        CertsDirs(directories)
    }
}

impl TlsSource for CertsDirs {
    fn tls(&self, host: &str, port: u16) -> Result<Option<Tls>> {
        let names = names(host, port);
        let paths = self
            .0
            .iter()
            .flat_map(|base| names.iter().map(|name| base.join(name)));
        for path in paths {
            match fs::read_dir(&path) {
                Ok(entries) => return host_tls(&path, entries).map(Some),
                // Unreadable directories are skipped, as in other tools.
                Err(error)
                    if matches!(
                        error.kind(),
                        Io::NotFound | Io::NotADirectory | Io::PermissionDenied
                    ) => {}
                Err(error) => return Err(Error::io(path.display(), error)),
            }
        }
        Ok(None)
    }
}

/// The possible names of a host's directory. A host name contains nothing that leads elsewhere in a
/// path, and a registry that redirects chooses only that name.
fn names(host: &str, port: u16) -> Vec<String> {
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    if host.is_empty() || host.starts_with('.') || host.contains(['/', '\\']) {
        return Vec::new();
    }
    let full = format!("{host}:{port}");
    match port {
        443 => vec![host, full],
        _ => vec![full],
    }
}

fn host_tls(directory: &Path, entries: fs::ReadDir) -> Result<Tls> {
    let named = |error| Error::io(directory.display(), error);
    let mut paths = Vec::new();
    for entry in entries.take(FILES) {
        paths.push(entry.map_err(named)?.path());
    }
    paths.sort();
    let mut tls = Tls::default();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            // Dangling links are skipped, as in other tools.
            Some("crt") if path.exists() => {
                tls.authorities.extend(Certificates::from_file(&path)?);
            }
            Some("cert") => {
                let key = beside(&path, "key", "names of CA certificates end in .crt")?;
                tls.identities
                    .push(Identity::from_files(&path, Some(&key))?);
            }
            Some("key") => drop(beside(&path, "cert", "a key needs its client certificate")?),
            _ => {}
        }
    }
    Ok(tls)
}

/// The file of the same name with another extension.
fn beside(path: &Path, extension: &str, why: &str) -> Result<PathBuf> {
    let other = path.with_extension(extension);
    if other.exists() {
        return Ok(other);
    }
    let name = other.file_name().unwrap_or_default().display();
    let message = format!("no {name} beside it; {why}");
    Err(Error::new(ErrorKind::Invalid, message).target(path.display()))
}

#[cfg(test)]
mod tests {
    use wharf_testkit::{Authority, Pair};

    use super::*;

    fn file(directory: &Path, name: &str, content: &str) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join(name), content).unwrap();
    }

    fn client() -> Pair {
        Authority::new().client()
    }

    #[test]
    fn t4_the_first_directory_that_has_one_for_the_host_counts() {
        let base = tempfile::tempdir().unwrap();
        let (first, second) = (base.path().join("1"), base.path().join("2"));
        let dirs = CertsDirs::new(vec![base.path().join("0"), first.clone(), second.clone()]);
        let (one, other) = (Authority::new(), Authority::new());
        file(&first.join("r.example:5000"), "ca.crt", one.certificate());
        file(
            &second.join("r.example:5000"),
            "ca.crt",
            other.certificate(),
        );
        file(&second.join("r.example"), "ca.crt", other.certificate());
        file(&second.join("[::1]:5000"), "ca.crt", other.certificate());
        let found = |host, port| Some(dirs.tls(host, port).unwrap()?.authorities);
        let from = |authority: &Authority| {
            Some(Certificates::from_pem(authority.certificate().as_bytes()).unwrap())
        };
        assert_eq!(found("r.example", 5000), from(&one));
        assert_eq!(found("r.example", 443), from(&other));
        assert_eq!(found("::1", 5000), from(&other));
        for (host, port) in [
            ("r.example", 5001),
            ("q.example", 443),
            ("..", 443),
            ("", 443),
        ] {
            assert_eq!(found(host, port), None, "{host}");
        }
    }

    #[test]
    fn fault_b11_places_that_are_no_directories_hold_nothing() {
        let base = tempfile::tempdir().unwrap();
        file(base.path(), "r.example", "no directory");
        let below = base.path().join("r.example/certs.d");
        let dirs = CertsDirs::new(vec![
            "/dev/null/.config/containers/certs.d".into(),
            below,
            base.path().to_owned(),
        ]);
        assert_eq!(dirs.tls("r.example", 443).unwrap(), None);
    }

    #[test]
    fn t4_a_client_certificate_lies_beside_its_key() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("r.example");
        let dirs = CertsDirs::new(vec![base.path().to_owned()]);
        let pair = client();
        file(&directory, "me.cert", &pair.certificate);
        let complaint = || dirs.tls("r.example", 443).unwrap_err().to_string();
        let expected = "me.cert: no me.key beside it; names of CA certificates end in .crt";
        assert!(complaint().ends_with(expected), "{}", complaint());
        file(&directory, "me.key", &client().key);
        let expected = "me.key: the key in it does not match the client certificate";
        assert!(complaint().ends_with(expected), "{}", complaint());
        file(&directory, "me.key", &pair.key);
        let known = || dirs.tls("r.example", 443).unwrap().unwrap();
        assert_eq!(known().identities.len(), 1);
        let another = client();
        file(&directory, "another.cert", &another.certificate);
        file(&directory, "another.key", &another.key);
        assert_eq!(known().identities.len(), 2);
        file(&directory, "other.key", &pair.key);
        let expected = "other.key: no other.cert beside it; a key needs its client certificate";
        assert!(complaint().ends_with(expected), "{}", complaint());
    }

    #[test]
    fn t4_malformed_files_are_named_with_what_is_wrong() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("r.example");
        let dirs = CertsDirs::new(vec![base.path().to_owned()]);
        let pair = client();
        let cut = &pair.certificate[..200];
        let not_x509 = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for (content, expected) in [
            ("hello", "ca.crt: not PEM"),
            ("", "ca.crt: not PEM"),
            (pair.key.as_str(), "ca.crt: no certificate in it"),
            (cut, "ca.crt: not PEM: a part of it has no end"),
            (not_x509, "ca.crt: certificate 1 in it cannot be parsed"),
        ] {
            file(&directory, "ca.crt", content);
            let error = dirs.tls("r.example", 443).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }
}
