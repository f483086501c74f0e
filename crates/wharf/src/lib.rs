//! Move container images and OCI artifacts between files, streams and registries.
//!
//! # A first push
//!
//! ```no_run
//! use wharf::{Client, Layout, Wharf, Reference};
//!
//! #[tokio::main]
//! async fn main() -> wharf::Result<()> {
//!     let layout = Layout::open("examples/hello")?;
//!     let to: Reference = "localhost:5000/hello:1".parse()?;
//!     let wharf = Wharf::new(Client::builder().build()?);
//!     let pushed = wharf.push(&layout, layout.select(None)?, &to).await?;
//!     println!("{pushed}"); // localhost:5000/hello@sha256:…
//!     Ok(())
//! }
//! ```
//!
//! Six small programs in `examples/` continue from here: `push_layout`, `push_generated`,
//! `stream_layer`, `attach_artifact`, `push_two` and `progress`.
//!
//! # A map
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`front`] | the front door: [`Wharf`], a client and options, with a short call for each operation |
//! | [`mod@copy`] | the one operation below it: from a source to a store, or to several; plans, events, retries |
//! | [`store`] | [`Source`] and [`Store`], and those on disk and in memory: [`Layout`], [`Memory`], [`store::archive`] |
//! | [`remote`] | [`Client`] and the repositories of registries, which are stores too |
//! | [`blob`], [`mod@file`], [`spool`] | bytes of known digest that are opened when they are needed, and files as such |
//! | [`layer`], [`draft`] | layers made of streams, files and directories while they are sent, and images of them |
//! | [`memory`] | what is remembered of registries between runs |
//! | [`verify`] | where bytes are compared with what they should be |
//! | [`oci`] | what OCI says, as types: [`Reference`], [`Digest`], [`Descriptor`], [`Manifest`], … |
//!
//! # Sources and stores
//!
//! Content is read from a [`Source`] and written to a [`Store`], which is a source too. Each is
//! *one repository*: in a registry, a layout directory, an archive, memory. Push, pull and copy are
//! [`copy::copy`] with other arguments, and your own sources can be pushed the same way:
//!
//! ```no_run
//! use wharf::copy::{Root, copy};
//! use wharf::{Client, CopyOptions, Layout, Reference, Source};
//!
//! # async fn pull() -> wharf::Result<()> {
//! let image: Reference = "registry.example/app:1".parse()?;
//! let repository = Client::builder().build()?.repository(image.repository());
//! let manifest = repository.resolve(&image.selector()).await?;
//! let root = Root { content: manifest.into(), tags: vec![image.tag_or_latest()] };
//! let layout = Layout::create("app")?;
//! copy(&repository, &layout, &[root], &CopyOptions::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What always holds: a manifest is put only when everything it links to is in the store; a tag
//! moves only after its manifest; manifest bytes are never serialised again; bytes are checked
//! against digest and size as they flow. A copy that fails has moved no tag, and a second run does
//! only what is missing.
//!
//! # Errors
//!
//! Everything that can fail returns an [`Error`]: [`Error::kind`] is for programs, `Display` is one
//! line for people, with the target, the registry's answer, and the number of tries.
//! [`Error::failed_side`] says which side of a copy failed. No error holds a secret.
//!
//! # Progress
//!
//! An [`Observer`] in [`CopyOptions`] gets each [`Event`]; [`copy::Tally`] sums them up to complete
//! and total bytes, which are equal at the end. [`remote::PauseObserver`] is called when a registry
//! asks to wait, and [`Client::requests`] counts requests. The library prints nothing; it logs
//! through `tracing`, without secrets.
//!
//! # Retries and limits
//!
//! [`copy::RetryPolicy`] decides when work is tried again after a transient error: one blob or
//! manifest at a time, with its existence check. An interrupted blob continues where the registry
//! has it, and so does a layer that is made while it is sent; of a stream that comes once the last
//! 16 MiB are kept for that. There is no other level of retries: [`remote::RemoteRepository`] used
//! by itself tries once. `jobs` in [`CopyOptions`] bounds concurrent transfers, and
//! [`remote::Limits`] the concurrent requests of each kind to a registry; fewer while it refuses
//! with "too many". [`remote::Timeouts`] bound each wait, never the total time.
//!
//! Dropping a future cancels its work. Its open sessions are cancelled in the background; call
//! [`Client::tidy`] to wait for that before the process ends.
//!
//! # TLS and proxies
//!
//! [`remote::Tls`] has the trusted authorities and the client certificates for a host, and whether
//! its certificate is verified: for all hosts, for one, or from a [`remote::TlsSource`] such as
//! [`remote::CertsDirs`]. [`remote::Proxies`] selects proxies. A [`remote::LeniencyObserver`] is
//! called where [`remote::Insecure::Yes`] made a difference.
//!
//! # Memory
//!
//! Layers are never held in memory: each of at most `jobs` transfers holds a few chunks of a
//! mebibyte, and 16 MiB of a stream that comes once, whatever the sizes. Manifests are held in
//! memory, up to 8 MiB each and 128 MiB in one copy.
//!
//! # Number of requests
//!
//! It is a promise, told for each operation in [`front`] and kept by tests: an image of n layers
//! costs 3n + 5 requests the first time, 1 unchanged, and 2 under a new tag.
//!
//! # Runtime
//!
//! Futures need tokio with its timers and network; they are `Send` and can be spawned.

#[cfg(fuzzing)]
#[doc(hidden)]
pub use wharf_remote::fuzzing;
pub mod front;
pub mod place;

pub use front::{Copied, Options, Pushed, Wharf};
pub use wharf_core::{
    Asked, CopyOptions, Distrust, Error, ErrorKind, Event, Guard, Lack, Layout, Memory, Observer,
    Refusal, Result, RootContent, Side, Source, Store, Summary,
};
pub use wharf_core::{blob, copy, draft, file, intake, layer, spool, store, verify};
pub use wharf_oci as oci;
pub use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Reference, Repository, Tag};
pub use wharf_remote as remote;
pub use wharf_remote::{Client, credentials, memory};
