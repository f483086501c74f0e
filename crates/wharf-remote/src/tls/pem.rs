//! Reads certificates of authorities from PEM (RFC 7468).
//!
//! Errors of a file are found when it is read, not when a host is contacted.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use zeroize::Zeroizing;

use wharf_core::{Error, ErrorKind, Result};

/// The most bytes of a file of certificates or keys; a system's file has some hundred thousand.
const FILE: u64 = 8 * 1024 * 1024;

/// Trusted certificates of authorities.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Certificates(pub(super) Vec<CertificateDer<'static>>);

impl Certificates {
    /// All certificates of `text`, which may contain other text between them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not PEM, or has no certificate or a malformed one.
    pub fn from_pem(text: &[u8]) -> Result<Self> {
        let certificates = certificates(text)?;
        for (index, certificate) in certificates.iter().enumerate() {
            let added = RootCertStore::empty().add(certificate.clone());
            added.map_err(|_| {
                let message = format!("certificate {} in it cannot be parsed", index + 1);
                Error::new(ErrorKind::Invalid, message)
            })?;
        }
        Ok(Certificates(certificates))
    }

    /// As [`Certificates::from_pem`], from a file.
    ///
    /// # Errors
    /// The same, and if it cannot be read; names the file.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = read(path)?;
        Self::from_pem(&text).map_err(|error| error.target(path.display()))
    }

    /// The certificates of a system's file. Skips malformed ones.
    ///
    /// # Errors
    /// If none is left, or the file cannot be read; names the file.
    pub fn collected(path: &Path) -> Result<Self> {
        let text = read(path)?;
        let parsed = CertificateDer::pem_slice_iter(&text).filter_map(std::result::Result::ok);
        let certificates = Certificates(parsed.collect());
        match certificates.is_empty() {
            true => Err(nothing(&text, "certificate").target(path.display())),
            false => Ok(certificates),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `more` to them.
    pub fn extend(&mut self, more: Certificates) {
        for certificate in more.0 {
            if !self.0.contains(&certificate) {
                self.0.push(certificate);
            }
        }
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let parsed: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = parsed.map_err(|error| broken(&error, text))?;
    if certificates.is_empty() {
        return Err(nothing(text, "certificate"));
    }
    Ok(certificates)
}

/// The error of malformed PEM. The text is not quoted, because it may be a key.
pub(super) fn broken(error: &pem::Error, text: &[u8]) -> Error {
    if is_encrypted(text) {
        let message = "the key in it is encrypted; use one without a passphrase";
        return Error::new(ErrorKind::Invalid, message);
    }
    let why = match error {
        pem::Error::MissingSectionEnd { .. } => "a part of it has no end",
        pem::Error::Base64Decode(_) => "a part of it is not base64",
        pem::Error::IllegalSectionStart { .. } => "a part of it has a malformed beginning",
        _ => "it is malformed",
    };
    Error::new(ErrorKind::Invalid, format!("not PEM: {why}"))
}

/// Whether it contains an encrypted key: PKCS#8, or openssl's older format with headers (RFC 1421).
pub(super) fn is_encrypted(text: &[u8]) -> bool {
    let signs: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    let stands = |sign: &[u8]| text.windows(sign.len()).any(|part| part == sign);
    signs.into_iter().any(stands)
}

/// The error for text that lacks `what`.
pub(super) fn nothing(text: &[u8], what: &str) -> Error {
    let begins = b"-----BEGIN ";
    let message = match text.windows(begins.len()).any(|part| part == begins) {
        true => format!("no {what} in it"),
        false => "not PEM".to_owned(),
    };
    Error::new(ErrorKind::Invalid, message)
}

/// The bytes of a file, which may be a key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let named = |error| Error::io(path.display(), error);
    let mut text = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(named)?;
    file.take(FILE + 1).read_to_end(&mut text).map_err(named)?;
    match text.len() as u64 > FILE {
        true => {
            Err(Error::new(ErrorKind::Invalid, "too large for certificates").target(path.display()))
        }
        false => Ok(text),
    }
}
