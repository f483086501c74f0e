//! Test support: fixtures, a scripted fault server, a recording proxy, real peers.
//!
//! The crate depends on no other crate of the workspace. All of them can use it, and its
//! hand-written documents check what they read. A fixture that cannot be made is a failed test, so
//! functions here panic with the reason instead of returning errors. No released program contains
//! this code.
//!
//! The servers run on threads of their own, so that tests with and without an async runtime use them alike.
#![allow(
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

pub mod authority;
pub mod compress;
pub mod connect_proxy;
pub mod content;
pub mod docker_archive;
pub mod fault_server;
pub mod layer;
pub mod layout;
mod loopback;
pub mod network;
pub mod peers;
pub mod process;
pub mod proxy;
pub mod registry_script;
pub mod rootfs;
pub mod tar_layer;
pub mod tls_front;
pub mod token_server;
#[cfg(test)]
mod wire;

pub use authority::{Authority, Pair};
pub use compress::{Kind, compress, compress_bytes};
pub use connect_proxy::{ConnectProxy, ProxyManner};
pub use content::{compressible_bytes, seeded_bytes, sha256_hex, sha512_hex};
pub use docker_archive::{ArchiveStyle, DockerArchive, DockerImage};
pub use fault_server::{Answer, FaultServer, RecordedRequest, Script};
pub use layer::{LayerSpec, tar_of};
pub use layout::{Child, Content, Flavour, ImageFixture, LayoutFixture, tar_layout};
pub use peers::{
    DockerRegistry, Nginx, PassedRequest, Podman, RegistryAuth, RegistryTls, Skopeo, Umoci,
};
pub use process::{PeakRss, files_below};
pub use proxy::{ProxiedRequest, RecordingProxy};
pub use registry_script::push_registry;
pub use rootfs::RootfsImage;
pub use tar_layer::TarLayer;
pub use tls_front::TlsFront;
pub use token_server::TokenServer;
