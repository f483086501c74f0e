//! Move container images and OCI artifacts between files, streams and registries.
//!
//! # A first push
//!
//! ```no_run
//! use wharf::{Client, Layout, Reference, Wharf};
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
//! # The verbs
//!
//! Every operation on a registry is a method of [`Wharf`], a client with options. Each verb retries
//! as one policy says, and keeps a promise about its number of requests ([`front`] lists them).
//!
//! | to | there is |
//! | --- | --- |
//! | move images | [`push`](Wharf::push), [`push_to_all`](Wharf::push_to_all), [`pull`](Wharf::pull), [`pull_all`](Wharf::pull_all), [`push_everything`](Wharf::push_everything), [`copy`](Wharf::copy), [`copy_tags`](Wharf::copy_tags), [`copy_referrers`](Wharf::copy_referrers), [`part`](Wharf::part), [`plan`](Wharf::plan) |
//! | move single blobs | [`push_blob`](Wharf::push_blob), [`push_layer`](Wharf::push_layer), [`blob`](Wharf::blob) |
//! | read images | [`image`](Wharf::image), [`image_for`](Wharf::image_for), [`image_in`](Wharf::image_in): config, layers, single files |
//! | read | [`manifest`](Wharf::manifest), [`config`](Wharf::config), [`tags`](Wharf::tags), [`catalog`](Wharf::catalog), [`referrers`](Wharf::referrers), [`index`](Wharf::index) |
//! | edit images | [`edit`](Wharf::edit): config, fields of the manifest and layers, of an image or of each image of an index; [`edit_one`](Wharf::edit_one), [`rebase`](Wharf::rebase) |
//! | make indexes | [`index`](Wharf::index) to begin with, [`index_parts`](Wharf::index_parts) to add; [`extend_layout`](Wharf::extend_layout) |
//! | describe and check | [`inspect`](Wharf::inspect), [`tree`](Wharf::tree), [`validate`](Wharf::validate) |
//! | change | [`tag`](Wharf::tag), [`put`](Wharf::put), [`attach`](Wharf::attach), [`delete`](Wharf::delete), [`delete_tag`](Wharf::delete_tag) |
//! | log in | [`login`](Wharf::login), [`authorization`](Wharf::authorization) |
//! | open places by name | [`open`](Wharf::open), [`read`](Wharf::read), [`destination`](Wharf::destination), [`write`](Wharf::write) |
//! | end a process | [`Client::tidy`], [`Client::save`]: see [below](#before-a-process-ends) |
//!
//! # Examples
//!
//! | program | what it does |
//! | --- | --- |
//! | [`examples::push_layout`] | pushes an image from an OCI image layout |
//! | [`examples::push_generated`] | pushes an image of a directory, made while it is sent |
//! | [`examples::push_on_base`] | pushes an image upon a base image |
//! | [`examples::push_two`] | pushes to two registries at once |
//! | [`examples::stream_layer`] | sends a stream as a layer, compressed on the way |
//! | [`examples::attach_artifact`] | attaches a file to an image, such as an SBOM |
//! | [`examples::read_image`] | reads config, layers and files of an image |
//! | [`examples::progress`] | prints the progress of a push |
//!
//! # A map
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`front`] | the verbs, and what they cost in requests |
//! | [`place`] | places by name, such as `oci:DIR:TAG`: opened, paired, and one platform picked |
//! | [`credentials`] | files of credentials, helpers, and credentials that are given; all places of Docker and Podman at once: [`Chain::docker_and_podman`](credentials::Chain::docker_and_podman) |
//! | [`remote`] | [`Client`] and its settings: TLS, proxies, mirrors, limits, timeouts |
//! | [`memory`] | what is remembered of registries between runs |
//! | [`mod@copy`] | the one operation below the verbs: plans, events, retries |
//! | [`store`] | [`Source`] and [`Store`]; those on disk and in memory: [`Layout`], [`Memory`], [`store::archive`] |
//! | [`mod@image`] | what is read out of images, new images upon a base, new artifacts |
//! | [`layer`], [`draft`] | layers made of streams, files and directories while they are sent, and images of them |
//! | [`blob`], [`mod@file`], [`spool`], [`verify`] | bytes of known digest, and where they are checked |
//! | [`oci`] | what OCI says, as types: [`Reference`], [`Digest`], [`Descriptor`], [`Manifest`], … |
//!
//! # Names that occur twice
//!
//! | name | here | elsewhere |
//! | --- | --- | --- |
//! | `Memory` | [`Memory`], a store of small content | [`memory`], what is remembered of registries; `Memory` of `wharf-registry`, where a registry keeps its content |
//! | `Registry` | [`oci::Registry`], the host and port in a reference | `Registry` of `wharf-registry`, which answers requests |
//! | `Repository` | [`Repository`], registry and name in a reference | [`remote::RemoteRepository`], which sends requests |
//! | `Access` | [`place::Access`], whether a place is written to | [`remote::Access`], what a token allows |
//!
//! # Sources and stores
//!
//! Content is read from a [`Source`] and written to a [`Store`], which is a source too. Each is
//! *one repository*: in a registry, a layout directory, an archive, or memory. A program can push
//! its own sources, and pull into its own stores. A source writes three methods, a store eight; with
//! the feature `conformance` the module of that name checks in a test that a store keeps the contract.
//!
//! Every copy guarantees: a manifest is put only when everything it links to is in the store; a tag
//! moves only after its manifest; manifest bytes are never serialised again; bytes are checked
//! against digest and size while they are read. A copy that fails has moved no tag, and a second
//! run does only what is missing.
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
//! asks to wait, and [`Client::requests`] counts requests. The library prints nothing and reads no
//! environment; it logs through `tracing`, without secrets.
//!
//! # Retries and limits
//!
//! [`copy::RetryPolicy`] decides when work is tried again after a transient error: one request,
//! blob or manifest at a time, with its existence check. An interrupted upload continues at the
//! byte that the registry has, also for a layer that is made while it is sent. Of a stream that can
//! be read only once, the last 16 MiB are kept for that. A copy and the verbs of [`Wharf`] go by the
//! policy in [`CopyOptions`]. The requests of a [`remote::RemoteRepository`] used by itself go by
//! that of its client ([`remote::ClientBuilder::retry`]);
//! [`remote::RemoteRepository::single_tries`] is for a program with retries of its own. Retries do
//! not multiply: a copy asks [`Store::raw_store`] for the repository without them.
//!
//! `jobs` in [`CopyOptions`] bounds concurrent transfers, and [`remote::Limits`] the concurrent
//! requests of each kind to a registry. [`remote::Timeouts`] bound each wait, never the total time.
//!
//! Layers are never held in memory: each of at most `jobs` transfers holds a few chunks of
//! 256 KiB, and 16 MiB of a stream that can be read only once. Manifests are held, up to 8 MiB
//! each and 128 MiB in one copy.
//!
//! # Before a process ends
//!
//! Dropping a future cancels its work. Its open sessions are cancelled in the background. Knowledge
//! of registries is stored only on request:
//!
//! ```no_run
//! # async fn end(wharf: wharf::Wharf) {
//! let client = wharf.client();
//! client.tidy(std::time::Duration::from_secs(1)).await;
//! client.save().await;
//! # }
//! ```
//!
//! Futures need tokio with its timers and network; they are `Send` and can be spawned.

#[cfg(fuzzing)]
#[doc(hidden)]
pub use wharf_remote::fuzzing;
#[cfg(doc)]
pub mod examples;
pub mod front;
pub mod place;

pub use front::{Copied, Options, Pushed, Wharf};
#[cfg(feature = "conformance")]
pub use wharf_core::conformance;
pub use wharf_core::{
    Asked, CopyOptions, Distrust, Error, ErrorKind, Event, Guard, Lack, Layout, Memory, Observer,
    Refusal, Result, RootContent, Side, Source, Store, Summary, Unreached,
};
pub use wharf_core::{blob, copy, draft, file, image, intake, layer, rootfs, spool, store, verify};
pub use wharf_oci as oci;
pub use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Reference, Repository, Tag};
pub use wharf_remote as remote;
pub use wharf_remote::{Client, credentials, memory};
