//! Flags about certificates: which are trusted, and which are presented.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wharf::remote::{Certificates, CertsDirs, ClientBuilder, Identity, Tls};
use wharf::{Error, ErrorKind, Result};

use super::existing::existing;
use crate::env::TlsPlaces;

/// Flags about TLS, of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Also trust the CA certificates in this PEM file; may be repeated
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    ca_cert: Vec<PathBuf>,
    /// Present this client certificate (PEM) to the registries of the command that request one
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// Private key of --client-cert (PEM), if it is not in the same file
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Read HOST[:PORT]/*.crt, *.cert and *.key here, not in the directories of Docker and Podman
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    certs_dir: Option<PathBuf>,
}

impl TlsArgs {
    /// Applies the flags and `places` to a client. Reads all named files now.
    ///
    /// # Errors
    /// If a file is missing or malformed; names the file.
    pub(super) fn apply(&self, places: TlsPlaces, builder: ClientBuilder) -> Result<ClientBuilder> {
        let mut tls = Tls {
            identities: self.identity()?.into_iter().collect(),
            ..Tls::default()
        };
        for file in &self.ca_cert {
            tls.authorities.extend(Certificates::from_file(file)?);
        }
        let roots = roots(&places)?;
        let certs = match (&self.certs_dir, &places.certs_dir) {
            (Some(directory), _) => vec![existing(directory)?],
            (None, Some(directory)) => {
                vec![existing(directory).map_err(|error| error.target("WHARF_CERTS_DIR"))?]
            }
            (None, None) => places.certs,
        };
        let source = Arc::new(CertsDirs::new(certs));
        let builder = builder.tls(tls).tls_source(source);
        Ok(match roots {
            Some(roots) => builder.roots(roots),
            None => builder,
        })
    }

    fn identity(&self) -> Result<Option<Identity>> {
        let key = self.client_key.as_deref();
        match (&self.client_cert, key) {
            (Some(certificate), key) => Identity::from_files(certificate, key).map(Some),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let message = "--client-key needs --client-cert";
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }
}

/// The certificates of a file, of the files of directories, and of the system. A directory need not
/// exist, and may hold other files. `None` if neither is named: the library then loads the system's
/// certificates when it needs them.
fn roots(places: &TlsPlaces) -> Result<Option<Certificates>> {
    let directories = &places.root_directories;
    if places.roots.is_none() && directories.is_empty() {
        // macOS and Windows have them elsewhere, and ignore the environment.
        if !places.system_is_hidden || cfg!(any(windows, target_vendor = "apple")) {
            return Ok(None);
        }
        let mut roots = Certificates::default();
        collect(&places.system, &mut roots);
        return Ok(Some(roots).filter(|roots| !roots.is_empty()));
    }
    let mut roots = match &places.roots {
        Some(file) => {
            Certificates::collected(file).map_err(|error| error.target("SSL_CERT_FILE"))?
        }
        None => Certificates::default(),
    };
    collect(directories, &mut roots);
    if roots.is_empty() {
        let all = std::env::join_paths(directories).unwrap_or_default();
        let message = "no certificate in any file there";
        return Err(Error::new(ErrorKind::Invalid, message)
            .target(Path::new(&all).display())
            .target("SSL_CERT_DIR"));
    }
    collect(&places.system, &mut roots);
    Ok(Some(roots))
}

/// Adds the certificates in the files of `directories`.
fn collect(directories: &[PathBuf], roots: &mut Certificates) {
    let entries = directories
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok());
    for entry in entries.flatten().flatten() {
        let path = entry.path();
        if path.is_file()
            && let Ok(more) = Certificates::collected(&path)
        {
            roots.extend(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_the_environment_trusts_is_trusted_beside_whom_the_system_trusts() {
        let home = tempfile::tempdir().unwrap();
        let authority = |name: &str| {
            let directory = home.path().join(name);
            fs::create_dir(&directory).unwrap();
            let file = directory.join("ca.pem");
            fs::write(&file, wharf_testkit::Authority::new().certificate()).unwrap();
            (directory, file)
        };
        let (_, file) = authority("file");
        let (directory, in_directory) = authority("directory");
        let (system, in_system) = authority("system");
        let mut expected = Certificates::default();
        for file in [&file, &in_directory, &in_system] {
            expected.extend(Certificates::from_file(file).unwrap());
        }
        let mut places = TlsPlaces {
            roots: Some(file),
            root_directories: vec![directory],
            system: vec![system],
            ..TlsPlaces::default()
        };
        assert_eq!(roots(&places).unwrap(), Some(expected));
        places.roots = None;
        places.root_directories.clear();
        assert_eq!(roots(&places).unwrap(), None);
        if cfg!(target_os = "linux") {
            places.system_is_hidden = true;
            let system = Certificates::from_file(&in_system).unwrap();
            assert_eq!(roots(&places).unwrap(), Some(system));
        }
    }
}
