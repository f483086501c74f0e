//! Verifies the certificates of hosts, and sends client certificates.
//!
//! Loading the system's authorities takes some milliseconds, as long as an unchanged push over
//! plain http. So they are loaded when the first certificate is verified.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use super::leniency::Passed;
use crate::tls::{Certificates, Identity, Roots, Tls, Verification, provider};
use wharf_core::sync::Lock;
use wharf_core::{Error, ErrorKind, Result};

type Judged<T> = std::result::Result<T, rustls::Error>;

/// The TLS configuration for `tls`, with `roots` instead of the system's authorities. Accepted
/// unverified certificates are recorded in `passed`.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the program's cryptography provider has no current TLS.
pub(super) fn config(
    tls: &Tls,
    roots: Option<&Roots>,
    passed: &Arc<Passed>,
) -> Result<(ClientConfig, Arc<ShownIdentities>)> {
    let provider = provider();
    let shown = Arc::new(ShownIdentities {
        identities: tls.identities.clone(),
        asked: AtomicBool::new(false),
        met: Lock::default(),
    });
    let judge = Judge {
        authorities: tls.authorities.clone(),
        roots: roots.cloned(),
        verification: tls.verification,
        provider: Arc::clone(&provider),
        near: OnceLock::new(),
        all: OnceLock::new(),
        strict: OnceLock::new(),
        shown: Arc::clone(&shown),
        passed: Arc::clone(passed),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(|error| Error::new(ErrorKind::Unsupported, "cannot set up TLS").source(error))?;
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_client_cert_resolver(Arc::clone(&shown) as _);
    Ok((config, shown))
}

/// The most names that are remembered.
const NAMES: usize = 256;

/// The client certificates, whether a host asked for one, and the hosts with accepted certificates.
#[derive(Debug)]
pub(super) struct ShownIdentities {
    identities: Vec<Identity>,
    asked: AtomicBool,
    met: Lock<HashSet<String>>,
}

impl ShownIdentities {
    /// Whether a host asked for a client certificate and got none.
    pub(super) fn is_missed(&self) -> bool {
        self.identities.is_empty() && self.asked.load(Ordering::Relaxed)
    }

    /// Whether a certificate for this name was accepted.
    pub(super) fn has_met(&self, name: &str) -> bool {
        self.met.lock().contains(name)
    }

    fn meet(&self, name: &str) {
        let mut met = self.met.lock();
        if met.len() < NAMES {
            met.insert(name.to_owned());
        }
    }
}

impl ResolvesClientCert for ShownIdentities {
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let mut all = self.identities.iter();
        let fits = |known: &&Identity| known.is_signed_by(authorities) && known.can_sign(schemes);
        // Some hosts ask without naming accepted issuers.
        let shown = all.find(fits).or(self.identities.first());
        shown.map(Identity::key)
    }

    fn has_certs(&self) -> bool {
        !self.identities.is_empty()
    }
}

/// Verifies certificates.
#[derive(Debug)]
struct Judge {
    authorities: Certificates,
    roots: Option<Roots>,
    verification: Verification,
    provider: Arc<CryptoProvider>,
    /// The verifier that trusts the authorities that are read quickly, if others are not.
    near: OnceLock<Option<Arc<dyn ServerCertVerifier>>>,
    /// All authorities of the roots.
    all: OnceLock<Certificates>,
    strict: OnceLock<Judged<Arc<dyn ServerCertVerifier>>>,
    shown: Arc<ShownIdentities>,
    passed: Arc<Passed>,
}

impl Judge {
    /// The standard verifier.
    fn strict(&self) -> Judged<&Arc<dyn ServerCertVerifier>> {
        let strict = self.strict.get_or_init(|| match &self.roots {
            Some(roots) => self.trusting(self.all(roots)),
            None => self.as_the_system(),
        });
        strict.as_ref().map_err(rustls::Error::clone)
    }

    /// The verifier to try first, if the standard one has much more to read.
    fn near(&self) -> Option<&Arc<dyn ServerCertVerifier>> {
        let near = self.near.get_or_init(|| {
            let roots = self.roots.as_ref();
            let roots = roots.filter(|roots| !roots.directories.is_empty())?;
            self.trusting(&roots.near()).ok()
        });
        near.as_ref()
    }

    fn all(&self, roots: &Roots) -> &Certificates {
        self.all.get_or_init(|| roots.all())
    }

    fn trusting(&self, roots: &Certificates) -> Judged<Arc<dyn ServerCertVerifier>> {
        let mut store = RootCertStore::empty();
        let all = roots.each().chain(self.authorities.each()).cloned();
        store.add_parsable_certificates(all);
        let provider = Arc::clone(&self.provider);
        let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
        let strict = strict.map_err(|_| general("none of the trusted certificates can be used"))?;
        Ok(strict)
    }

    fn as_the_system(&self) -> Judged<Arc<dyn ServerCertVerifier>> {
        let more: Vec<CertificateDer<'static>> = self.authorities.each().cloned().collect();
        let provider = Arc::clone(&self.provider);
        let strict = rustls_platform_verifier::Verifier::new_with_extra_roots(more, provider);
        let strict = strict.map_err(|_| general("the system has no trusted certificates"))?;
        Ok(Arc::new(strict))
    }
}

/// Whether a server was refused because it presented an authority's own certificate.
pub(super) fn is_authority(verdict: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = verdict
    else {
        return false;
    };
    cause.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
}

fn general(why: &str) -> rustls::Error {
    rustls::Error::General(why.to_owned())
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Judged<ServerCertVerified> {
        let verify = |verifier: &Arc<dyn ServerCertVerifier>| {
            verifier.verify_server_cert(certificate, chain, name, ocsp, now)
        };
        let near = self.near().map(verify).and_then(|judged| judged.ok());
        let judged = near
            .map_or_else(|| self.strict().and_then(verify), Ok)
            .or_else(|error| self.trusted_itself(error, certificate, name));
        let judged = match (judged, self.verification) {
            (Err(_), Verification::None) => {
                self.passed.note(&name.to_str(), certificate);
                Ok(ServerCertVerified::assertion())
            }
            (judged, _) => judged,
        };
        if judged.is_ok() {
            self.shown.meet(&name.to_str());
        }
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Judged<HandshakeSignatureValid> {
        let known = &self.provider.signature_verification_algorithms;
        self.lenient(verify_tls12_signature(message, certificate, signed, known))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Judged<HandshakeSignatureValid> {
        let known = &self.provider.signature_verification_algorithms;
        self.lenient(verify_tls13_signature(message, certificate, signed, known))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

impl Judge {
    /// Accepts a trusted certificate that is an authority itself, like openssl's self-signed ones.
    /// The standard verifier refuses those, after it has checked their dates.
    fn trusted_itself(
        &self,
        verdict: rustls::Error,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Judged<ServerCertVerified> {
        let roots = self.roots.iter().flat_map(|roots| self.all(roots).each());
        let mut trusted = self.authorities.each().chain(roots);
        let is_trusted = trusted.any(|known| known.as_ref() == certificate.as_ref());
        if !is_trusted || !is_authority(&verdict) {
            return Err(verdict);
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    /// Without verification, certificates that are too old to check a signature are accepted too.
    fn lenient(&self, judged: Judged<HandshakeSignatureValid>) -> Judged<HandshakeSignatureValid> {
        match self.verification {
            Verification::None => Ok(HandshakeSignatureValid::assertion()),
            Verification::Full => judged,
        }
    }
}
