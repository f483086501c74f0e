//! A client certificate with its key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, pki_types::pem};

use super::pem::{broken, certificates, is_encrypted, nothing, read};
use wharf_core::{Error, ErrorKind, Result};

/// A client certificate with its key. `Debug` does not show the key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// Parses the certificate, followed by its chain, and the key, both in PEM.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if one is not PEM or is missing, or if they do not match.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self> {
        let chain = certificates(certificate)?;
        pair(chain, private_key(key)?)
    }

    /// As [`Identity::from_pem`], from two files; without `key`, one file holds both.
    ///
    /// # Errors
    /// The same, and if a file cannot be read; names the file.
    pub fn from_files(certificate: &Path, key: Option<&Path>) -> Result<Self> {
        let named = |path: &Path| {
            let name = path.display().to_string();
            move |error: Error| error.target(name)
        };
        let key_path = key.unwrap_or(certificate);
        let chain = certificates(&read(certificate)?).map_err(named(certificate))?;
        let private = private_key(&read(key_path)?).map_err(named(key_path))?;
        pair(chain, private).map_err(named(key_path))
    }

    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }

    /// Whether one of `authorities`, distinguished names in DER, signed it, directly or through its
    /// chain.
    ///
    /// Searches the certificate's bytes for the issuer's name. If that matches by accident, the
    /// host only refuses the certificate.
    pub(crate) fn is_signed_by(&self, authorities: &[&[u8]]) -> bool {
        let holds = |certificate: &CertificateDer<'_>, name: &[u8]| {
            !name.is_empty() && certificate.windows(name.len()).any(|part| part == name)
        };
        let mut chain = self.0.cert.iter();
        chain.any(|certificate| authorities.iter().any(|name| holds(certificate, name)))
    }

    /// Whether its key can sign with one of the host's schemes.
    pub(crate) fn can_sign(&self, schemes: &[SignatureScheme]) -> bool {
        self.0.key.choose_scheme(schemes).is_some()
    }
}

impl PartialEq for Identity {
    /// Equal certificates have equal keys.
    fn eq(&self, other: &Self) -> bool {
        self.0.cert == other.0.cert
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client certificate")
    }
}

/// The cryptography provider: the program's default, if set.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let chosen = CryptoProvider::get_default().map(Arc::clone);
    chosen.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if !is_encrypted(text) => nothing(text, "private key"),
        error => broken(&error, text),
    })
}

fn pair(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Identity> {
    let invalid = |why: &str| Error::new(ErrorKind::Invalid, why);
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|_| invalid("the key in it is of an unsupported kind"))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        // Some keys cannot be compared with their certificate; the server will check them.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(Identity(Arc::new(pair)))
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(invalid(
            "the key in it does not match the client certificate",
        )),
        Err(_) => Err(invalid("the client certificate cannot be parsed")),
    }
}

#[cfg(test)]
mod tests {
    use wharf_testkit::Authority;

    use super::*;

    #[test]
    fn a_key_that_takes_a_passphrase_is_told_as_such_however_it_is_written() {
        let pair = Authority::new().client();
        let certificate = pair.certificate.as_bytes();
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                   DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let new = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n\
                   -----END ENCRYPTED PRIVATE KEY-----\n";
        let why = "the key in it is encrypted; use one without a passphrase";
        for key in [old, new] {
            let error = Identity::from_pem(certificate, key.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), why);
            // One file may hold both.
            let both = [certificate, key.as_bytes()].concat();
            let error = Identity::from_pem(&both, &both).unwrap_err();
            assert_eq!(error.to_string(), why);
        }
        assert!(Identity::from_pem(certificate, pair.key.as_bytes()).is_ok());
    }
}
