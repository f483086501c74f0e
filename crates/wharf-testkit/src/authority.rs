//! Certificates for tests: an authority, and certificates that it signs.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};

/// A certificate authority. No program trusts it unless told to.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new authority, with a name of its own.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let key = KeyPair::generate().expect("make a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).expect("make a certificate");
        Self {
            certificate: certificate.pem(),
            issuer: Issuer::new(parameters, key),
        }
    }

    /// Its own certificate in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate of a server for 127.0.0.1, `localhost` and `registry.example`.
    pub fn server(&self) -> Pair {
        let mut parameters = server(&["localhost", "registry.example"]);
        let address = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        parameters.subject_alt_names.push(address);
        self.sign(&parameters)
    }

    /// A certificate of a server for these names and nothing else.
    pub fn server_named(&self, names: &[&str]) -> Pair {
        self.sign(&server(names))
    }

    /// As [`Authority::server`], but it ended long ago.
    pub fn expired_server(&self) -> Pair {
        let mut parameters = server(&["localhost"]);
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 2, 3);
        self.sign(&parameters)
    }

    /// A self-signed server certificate for `localhost` and 127.0.0.1, as `openssl req -x509` makes
    /// them.
    pub fn self_signed() -> Pair {
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let address = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
        parameters.subject_alt_names.push(address);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("make a key");
        Pair {
            certificate: parameters
                .self_signed(&key)
                .expect("make a certificate")
                .pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client certificate.
    pub fn client(&self) -> Pair {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&parameters)
    }

    fn sign(&self, parameters: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("make a key");
        let certificate = parameters.signed_by(&key, &self.issuer);
        Pair {
            certificate: certificate.expect("make a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("names of hosts");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters
}
