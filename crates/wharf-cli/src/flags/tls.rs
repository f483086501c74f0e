//! Flags about certificates: which are trusted, and which are presented.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wharf::remote::{Certificates, CertsDirs, ClientBuilder, Identity, Roots, Tls};
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

/// The places of trusted certificates: those that the environment names, and the system's. They are
/// read when a host shows a certificate; what the environment names is looked at now. `None` if there
/// are none: the library then asks the system in its own way, as on macOS and Windows.
fn roots(places: &TlsPlaces) -> Result<Option<Roots>> {
    let named = &places.root_directories;
    // They keep certificates elsewhere, and ignore the environment.
    let elsewhere = cfg!(any(windows, target_vendor = "apple"));
    if elsewhere && places.roots.is_none() && named.is_empty() {
        return Ok(None);
    }
    let certificates = match &places.roots {
        Some(file) => {
            Certificates::collected(file).map_err(|error| error.target("SSL_CERT_FILE"))?
        }
        None => Certificates::default(),
    };
    if certificates.is_empty() && !named.is_empty() {
        let mut directories = named.iter();
        if !directories.any(|directory| Certificates::are_in(directory)) {
            let all = std::env::join_paths(named).unwrap_or_default();
            let message = "no certificate in any file there";
            return Err(Error::new(ErrorKind::Invalid, message)
                .target(Path::new(&all).display())
                .target("SSL_CERT_DIR"));
        }
    }
    let roots = Roots {
        certificates,
        bundles: places.bundle.iter().cloned().collect(),
        directories: named.iter().chain(&places.system).cloned().collect(),
    };
    Ok(Some(roots).filter(|roots| *roots != Roots::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_names_is_trusted_beside_what_the_system_trusts() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        let certificate = wharf_testkit::Authority::new();
        std::fs::write(place("file.pem"), certificate.certificate()).unwrap();
        std::fs::create_dir(place("named")).unwrap();
        std::fs::copy(place("file.pem"), place("named/a.pem")).unwrap();
        let mut places = TlsPlaces {
            roots: Some(place("file.pem")),
            root_directories: vec![place("named")],
            system: vec![place("system")],
            ..TlsPlaces::default()
        };
        let mut expected = Roots {
            certificates: Certificates::from_file(&place("file.pem")).unwrap(),
            bundles: Vec::new(),
            directories: vec![place("named"), place("system")],
        };
        assert_eq!(roots(&places).unwrap(), Some(expected.clone()));
        places.roots = None;
        places.bundle = Some(place("bundle.pem"));
        expected.certificates = Certificates::default();
        expected.bundles = vec![place("bundle.pem")];
        assert_eq!(roots(&places).unwrap(), Some(expected.clone()));
        places.root_directories.clear();
        expected.directories = vec![place("system")];
        let elsewhere = cfg!(any(windows, target_vendor = "apple"));
        assert_eq!(
            roots(&places).unwrap(),
            Some(expected).filter(|_| !elsewhere)
        );
        assert_eq!(roots(&TlsPlaces::default()).unwrap(), None);
    }
}
