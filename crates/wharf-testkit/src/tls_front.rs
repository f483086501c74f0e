//! TLS before a server that speaks none. Notes which connections have a client certificate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Pair};
use crate::loopback::Loopback;

/// The running front; it stops when it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    server: Loopback,
    seen: Arc<Mutex<Vec<bool>>>,
}

impl TlsFront {
    /// Starts one on a free port of 127.0.0.1 with the certificate `pair`. It asks for client
    /// certificates of `clients` without requiring them, and forwards everything to `upstream`.
    pub fn start(pair: &Pair, clients: &Authority, upstream: SocketAddr) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), pair, clients, upstream)
    }

    /// The same on a free port of `ip`, a loopback address or one of [`crate::network`].
    ///
    /// # Panics
    /// When `ip` is neither, or has no free port.
    pub fn start_on(ip: IpAddr, pair: &Pair, clients: &Authority, upstream: SocketAddr) -> Self {
        let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
        let acceptor = TlsAcceptor::from(Arc::new(config(pair, clients)));
        let record = Arc::clone(&seen);
        let server = Loopback::start((ip, 0).into(), move |stream, _| {
            let (acceptor, record) = (acceptor.clone(), Arc::clone(&record));
            async move {
                let Ok(mut secured) = acceptor.accept(stream).await else {
                    return;
                };
                let shown = secured.get_ref().1.peer_certificates().is_some();
                record
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(shown);
                if let Ok(mut upstream) = TcpStream::connect(upstream).await {
                    // The result does not matter: the connection has ended.
                    let _ = copy_bidirectional(&mut secured, &mut upstream).await;
                }
            }
        });
        Self { server, seen }
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// For each connection with a successful handshake, whether it had a client certificate.
    pub fn client_certificates(&self) -> Vec<bool> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn config(pair: &Pair, clients: &Authority) -> ServerConfig {
    let parsed = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).expect("PEM");
    let mut roots = RootCertStore::empty();
    roots
        .add(parsed(clients.certificate()))
        .expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![parsed(&pair.certificate)], key)
        .expect("a certificate with its key")
}
