//! TLS settings: trusted certificates, client certificates, verification.

mod certs_dirs;
mod identity;
mod pem;
mod roots;
mod settings;

pub use self::certs_dirs::CertsDirs;
pub use self::identity::Identity;
pub(super) use self::identity::provider;
pub use self::pem::Certificates;
pub use self::roots::Roots;
pub(super) use self::settings::{Authority, Place, TlsSettings};
pub use self::settings::{Tls, TlsSource, Verification};
